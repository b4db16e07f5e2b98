"""Running ``face-serve`` as a process, and the stand-in networks that need no weights."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

PROGRAM = str(Path(sys.executable).parent / "face-serve")
DATA = Path(__file__).parents[1] / "conformance" / "data"
IMAGES = DATA / "images"
PIPELINE = str(DATA / "pipeline.yaml")


def run(
    *arguments: str, cwd: Path, stdin: str | None = None, **environ: str
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [PROGRAM, *arguments],
        cwd=cwd,
        input=stdin,
        stdin=subprocess.DEVNULL if stdin is None else None,
        env={**os.environ, **environ},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
