"""PaddleX's server as a process, from an environment of its own."""

from __future__ import annotations

import contextlib
import os
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import httpx
import matplotlib
import psutil
import yaml

from load_tests.peer.export import DETECTOR, EXTRACTOR
from load_tests.target import Target, tree
from serve_app.deployments.environment import free_port

PYTHON = "FACE_SERVE_PADDLEX_PYTHON"
"""Names the interpreter of an environment with paddlex[cv,serving]==3.4.3, paddlepaddle and
faiss-cpu."""
START_TIMEOUT_S = 120
THREADS = 2


def interpreter(environ: Mapping[str, str]) -> Path | None:
    return Path(environ[PYTHON]) if environ.get(PYTHON) else None


def pipeline_file(models: Path) -> dict[str, Any]:
    """PaddleX's current form; the service reads it too."""
    return {
        "pipeline_name": "face_recognition",
        "index": "None",
        "det_threshold": 0.6,
        "rec_threshold": 0.4,
        "rec_topk": 5,
        "SubModules": {
            "Detection": {
                "module_name": "face_detection",
                "model_name": DETECTOR,
                "model_dir": str(models / DETECTOR),
                "batch_size": 1,
            },
            "Recognition": {
                "module_name": "face_feature",
                "model_name": EXTRACTOR,
                "model_dir": str(models / EXTRACTOR),
                "batch_size": 1,
            },
        },
    }


@contextlib.contextmanager
def paddlex(python: Path, models: Path) -> Iterator[Target]:
    """PaddleX on a free port of 127.0.0.1 until the end.

    Raises RuntimeError if it does not start.
    """
    with tempfile.TemporaryDirectory(prefix="face-serve-peer-") as directory:
        folder, port = Path(directory), free_port()
        (folder / "pipeline.yaml").write_text(yaml.safe_dump(pipeline_file(models)))
        command = [
            str(python.parent / "paddlex"), "--serve", "--pipeline", "pipeline.yaml", "--device",
            "cpu", "--host", "127.0.0.1", "--port", str(port),
        ]  # fmt: skip
        log = folder / "paddlex.log"
        with log.open("wb") as stream:
            process = subprocess.Popen(
                command, cwd=folder, env=_environment(), stdout=stream, stderr=stream
            )
        try:
            url = f"http://127.0.0.1:{port}"
            _wait(url, process, log)
            yield Target(url, lambda: tree(psutil.Process(process.pid)))
        finally:
            process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(20)
            process.kill()
            process.wait()


def _environment() -> dict[str, str]:
    # Its own interpreter, not this one's modules.
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    font = Path(matplotlib.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf"
    return kept | {
        "PADDLE_PDX_DISABLE_MODEL_SOURCE_CHECK": "True",
        "PADDLE_PDX_LOCAL_FONT_FILE_PATH": str(font),
        "PADDLE_PDX_CPU_NUM_THREADS": str(THREADS),
    }


def _wait(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline and process.poll() is None:
        with contextlib.suppress(httpx.HTTPError):
            if httpx.get(f"{url}/health", timeout=5, trust_env=False).status_code == 200:
                return
        time.sleep(0.2)
    raise RuntimeError(f"PaddleX did not start: {log.read_text(errors='replace')[-2000:]}")
