"""Bulk jobs in the service's own cluster. First: any command, sent there and followed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from serve_app.deployments.environment import free_port
from tests.integration.service import Service

FOLLOW = """
import json, sys
from serve_app.errors import FaceServeError
from serve_app.jobs.submission import Submission
address, name, words = sys.argv[1:]
try:
    print("ended with", Submission(address).run(json.loads(words), name, lambda line: print(
        ">", line, flush=True)), flush=True)
except FaceServeError as error:
    print(f"{type(error).__name__}: {error}")
"""
"""In a process of its own: Ray reads its token when it is imported."""


class Follower:
    """A process that sends ``python -c code`` and tells what it is told."""

    def __init__(self, service: Service, name: str, code: str, **environ: str) -> None:
        ray = service.data_dir / "ray"
        address = environ.pop("address", None) or (ray / "dashboard").read_text().strip()
        token = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": str(ray / "auth_token")}
        inherited = {key: value for key, value in os.environ.items() if not key.startswith("RAY_")}
        words = json.dumps([sys.executable, "-u", "-c", code])
        self._process = subprocess.Popen(
            [sys.executable, "-c", FOLLOW, address, name, words],
            env=inherited | token | environ,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def line(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline().rstrip("\n")

    def output(self) -> list[str]:
        out, errors = self._process.communicate(timeout=90)
        assert self._process.returncode == 0, errors
        return out.splitlines()


def test_a_command_is_followed_to_its_end(service: Service) -> None:
    code = "import time; print('one'); time.sleep(4); print('twö'); print('three', end='')"
    follower = Follower(service, "fine", code)
    while not (line := follower.line()).startswith("> one"):
        assert line.startswith(">"), line  # Ray's own
    told = time.monotonic()
    rest = follower.output()
    assert time.monotonic() - told > 2, "it was told of only at the end"
    assert rest == ["> twö", "> three", "ended with 0"]


@pytest.mark.parametrize(
    ("code", "ended"),
    [
        ("raise SystemExit(3)", 3),
        ("raise SystemExit(2)", 2),
        ("import os; os.kill(os.getpid(), 9)", 3),  # it can be begun again
    ],
)
def test_its_exit_code_comes_back(code: str, ended: int, service: Service) -> None:
    output = Follower(service, f"fails-{ended}", f"print('begun'); {code}").output()
    assert "> begun" in output
    assert output[-1] == f"ended with {ended}"


def test_a_name_is_run_once_at_a_time_and_again_later(service: Service, tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    code = (
        f"import time; open({str(runs)!r}, 'a').write('.'); print('begun', flush=True); "
        "time.sleep(8); print('done')"
    )
    first = Follower(service, "once", code)
    while first.line() != "> begun":
        pass
    second = Follower(service, "once", code).output()  # it sees the log from its beginning
    assert second[-3:] == ["> begun", "> done", "ended with 0"]
    assert first.output()[-1] == "ended with 0"
    assert runs.read_text() == "."
    assert Follower(service, "once", code).output()[-1] == "ended with 0"
    assert runs.read_text() == ".."


def test_nobody_sends_anything_without_the_token(service: Service, tmp_path: Path) -> None:
    wanted = (
        "UnavailableError: the cluster wants its token: set RAY_AUTH_MODE=token and "
        "RAY_AUTH_TOKEN_PATH"
    )
    code = f"open({str(tmp_path / 'ran')!r}, 'w')"
    assert Follower(service, "a", code, RAY_AUTH_MODE="disabled").output() == [wanted]
    assert Follower(service, "a", code, RAY_AUTH_TOKEN="wrong" * 8).output() == [wanted]
    missing = str(tmp_path / "nowhere")
    assert Follower(service, "a", code, RAY_AUTH_TOKEN_PATH=missing).output() == [wanted]
    assert not (tmp_path / "ran").exists()


def test_nobody_is_there(service: Service) -> None:
    address = f"http://127.0.0.1:{free_port()}"
    assert Follower(service, "a", "", address=address).output() == [
        "UnavailableError: the cluster does not answer: give the address of its dashboard with "
        "--address"
    ]
