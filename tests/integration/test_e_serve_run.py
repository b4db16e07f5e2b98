"""The same Serve file with Ray's own command and its default proxy, in a directory of its own."""

from __future__ import annotations

import base64
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
import yaml

from serve_app.deployments.environment import free_port
from tests.integration.service import ROOT
from tests.integration.test_a_service import portrait


@pytest.mark.timeout(300)
def test_serve_run_with_the_default_proxy() -> None:
    directory = Path(tempfile.mkdtemp(prefix="fsr-", dir="/tmp"))
    content = yaml.safe_load((ROOT / "configs/serve/local.yaml").read_text(encoding="utf-8"))
    port = content["http_options"]["port"] = free_port()
    process = _serve_run(directory, content)
    try:
        answer = _first_answer(f"http://127.0.0.1:{port}", process)
        assert answer["idMap"] == {"0": "Eileen Collins"}
        assert (directory / "data" / "galleries.db").exists(), "data_dir is not where it was asked"
    finally:
        _end(process)
        shutil.rmtree(directory, ignore_errors=True)


@pytest.mark.timeout(300)
def test_an_address_that_others_reach_is_not_served_without_keys() -> None:
    """By Ray's own command too. Its proxy listens, as it does for every application that fails."""
    directory = Path(tempfile.mkdtemp(prefix="fsr-", dir="/tmp"))
    content = yaml.safe_load((ROOT / "configs/serve/local.yaml").read_text(encoding="utf-8"))
    port = content["http_options"]["port"] = free_port()
    content["http_options"]["host"] = "0.0.0.0"
    process = _serve_run(directory, content)
    try:
        deadline = time.monotonic() + 120
        message = "HTTP is served on 0.0.0.0 and no API keys are asked for"
        while message not in (said := (directory / "log").read_text(encoding="utf-8")):
            assert time.monotonic() < deadline, said[-2000:]
            time.sleep(0.5)
        with pytest.raises(httpx.HTTPError):
            httpx.get(f"http://127.0.0.1:{port}/health", timeout=20).raise_for_status()
    finally:
        _end(process)
        shutil.rmtree(directory, ignore_errors=True)


GPU_7 = "device gpu:7 is not here"


@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        (
            "database_url",
            "env:GALLERIES_NOWHERE",
            "args.database_url: the environment variable GALLERIES_NOWHERE is not set",
        ),
        ("pipeline", "pipeline.yaml", GPU_7),
    ],
)
def test_serve_run_says_at_once_which_key_is_wrong(key: str, value: str, message: str) -> None:
    """Ray's command stays, as it does for every application that fails: nothing is served. Of a GPU
    only the replicas can say whether it is there."""
    directory = Path(tempfile.mkdtemp(prefix="fsr-", dir="/tmp"))
    (directory / "pipeline.yaml").write_text("device: gpu:7\n", encoding="utf-8")
    content = yaml.safe_load((ROOT / "configs/serve/local.yaml").read_text(encoding="utf-8"))
    port = content["http_options"]["port"] = free_port()
    content["applications"][0]["args"][key] = value
    process = _serve_run(directory, content)
    try:
        deadline = time.monotonic() + 120
        while message not in (said := (directory / "log").read_text(encoding="utf-8")):
            assert time.monotonic() < deadline, said[-2000:]
            time.sleep(0.5)
        with pytest.raises(httpx.HTTPError):  # its API may be up, with a stage that is not
            httpx.get(f"http://127.0.0.1:{port}/ready", timeout=20).raise_for_status()
    finally:
        _end(process)
        shutil.rmtree(directory, ignore_errors=True)


@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    ("args", "gpus", "message"),
    [
        ({}, 0.5, "Extractor.ray_actor_options.num_gpus: 0.5 of a GPU is asked for"),
        (
            {"database_url": "postgresql://anna:secret@127.0.0.1:9/galleries"},
            0,
            "database galleries can't be reached: check that the server runs and that database_url",
        ),
    ],
)
def test_face_serve_ends_with_one_message(
    args: dict[str, str], gpus: float, message: str, tmp_path: Path
) -> None:
    """What can be said only once there is a cluster; the rest is in tests/cli/test_serve.py."""
    directory = Path(tempfile.mkdtemp(prefix="fsb-", dir="/tmp"))
    content = yaml.safe_load((ROOT / "configs/serve/local.yaml").read_text(encoding="utf-8"))
    content["http_options"]["port"] = free_port()
    (application,) = content["applications"]
    application["args"] |= {**args, "data_dir": str(tmp_path / "data")}
    for deployment in application["deployments"]:
        if deployment["name"] == "Extractor" and gpus:
            deployment["ray_actor_options"]["num_gpus"] = gpus
    (directory / "bad.yaml").write_text(yaml.safe_dump(content), encoding="utf-8")
    try:
        ended = subprocess.run(
            [str(Path(sys.executable).parent / "face-serve"), "serve", "--config", "bad.yaml"],
            cwd=directory,
            env={**os.environ, "RAY_TMPDIR": str(directory)},
            capture_output=True,
            text=True,
            check=False,
            timeout=150,
        )
    finally:
        shutil.rmtree(directory, ignore_errors=True)
    assert ended.returncode == 2, ended.stderr
    (line,) = ended.stderr.splitlines()
    assert message in line
    assert "secret" not in line
    assert "127.0.0.1" not in line


def _serve_run(directory: Path, content: dict[str, Any]) -> subprocess.Popen[bytes]:
    (directory / "local.yaml").write_text(yaml.safe_dump(content), encoding="utf-8")
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith("RAY_SERVE_")
    }
    environment |= {
        "RAY_AUTH_MODE": "disabled",
        "RAY_TMPDIR": str(directory),
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
    }
    command = [str(Path(sys.executable).parent / "serve"), "run", "local.yaml"]
    with (directory / "log").open("wb") as log:
        return subprocess.Popen(command, cwd=directory, env=environment, stdout=log, stderr=log)


def _end(process: subprocess.Popen[bytes]) -> None:
    """As Ctrl-C does. How fast `serve run` ends is Ray's affair: what is left is killed."""
    if process.poll() is not None:
        return
    family = [psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)]
    process.send_signal(signal.SIGINT)
    _, alive = psutil.wait_procs(family, timeout=60)
    for one in alive:
        one.kill()
    process.wait(10)


def _first_answer(url: str, process: subprocess.Popen[bytes]) -> dict[str, object]:
    image = base64.b64encode(portrait()).decode()
    body = {"imageLabelPairs": [{"image": image, "label": "Eileen Collins"}]}
    deadline = time.monotonic() + 150
    while time.monotonic() < deadline:
        assert process.poll() is None, "serve run ended"
        try:
            reply = httpx.post(
                f"{url}/face-recognition-index-build", json=body, timeout=30, trust_env=False
            )
            if reply.status_code == 200:
                result: dict[str, object] = reply.json()["result"]
                return result
        except httpx.HTTPError:
            pass
        time.sleep(0.5)
    raise AssertionError("no answer in time")
