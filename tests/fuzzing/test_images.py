"""A few seconds of what ``make fuzz`` does for minutes, and that it would find something."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.integration.service import ROOT

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("atheris") is None, reason="atheris has wheels for Linux on x86 only"
)

BROKEN = """
import sys
from tests.fuzzing import decoding

def check(data):
    if b"IHDR" in data:
        {fault}

decoding.check = check
from tests.fuzzing import images
images.main()
"""
FAULTS = {
    "error": ("raise IndexError", "crash-"),
    "memory": ("decoding.kept = bytearray(b'x' * 2**30)", "oom-"),
}


def run(findings: Path, *command: str) -> subprocess.CompletedProcess[str]:
    fuzzing = [
        *(sys.executable, *command, "--seconds", "5", "--seed", "8"),
        *("--findings", str(findings)),
    ]
    # By a shell that stays: Linux counts the memory of whoever starts a process as its own peak,
    # which libFuzzer looks at, and this process may have grown to gigabytes.
    return subprocess.run(
        ["sh", "-c", '"$@"; exit $?', "sh", *fuzzing],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def found(findings: Path) -> list[str]:
    return [path.name for path in findings.iterdir() if path.is_file()]


def test_changed_images_are_decoded_or_refused(tmp_path: Path) -> None:
    done = run(tmp_path, "-m", "tests.fuzzing.images")
    assert found(tmp_path) == [], done.stderr[-2000:]
    assert done.returncode == 0, done.stderr[-2000:]
    runs = re.search(r"Done (\d+) runs", done.stderr)
    assert runs is not None
    assert int(runs[1]) > 500


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_found_and_kept(tmp_path: Path, fault: str) -> None:
    code, prefix = FAULTS[fault]
    done = run(tmp_path, "-c", BROKEN.format(fault=code))
    assert done.returncode != 0
    assert [name for name in found(tmp_path) if name.startswith(prefix)] != []
