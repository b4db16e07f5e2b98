"""Where a run is written, and what it says of the machine."""

from __future__ import annotations

import json
import math
import os
import platform
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from load_tests.findings import Section
from load_tests.parts.side_by_side import SideBySide
from load_tests.report.curve import draw
from load_tests.report.markdown import markdown
from load_tests.traffic.generator import ROOT

VERSION = 1
"""Of the JSON's form: what reads it (``face-serve plan --report``) knows by it what it holds."""
PACKAGES = ("ray", "onnxruntime", "openvino", "paddlepaddle", "faiss-cpu", "locust")


def write(
    directory: Path, sections: Sequence[Section], runs: Sequence[SideBySide], facts: dict[str, str]
) -> Path:
    """``report.md``, ``report.json`` and ``curve.png`` in ``directory``. Returns the first."""
    directory.mkdir(parents=True, exist_ok=True)
    if runs:
        draw(runs, directory / "curve.png")
    content = {
        "version": VERSION,
        "facts": facts,
        "findings": [
            asdict(one) | {"holds": one.holds} for part in sections for one in part.findings
        ],
        "sections": {part.title: part.figures for part in sections},
    }
    text = json.dumps(_plain(content), indent=1, allow_nan=False)
    (directory / "report.json").write_text(text + "\n", encoding="utf-8")
    report = directory / "report.md"
    text = markdown(sections, facts, "curve.png" if runs else None)
    report.write_text(text, encoding="utf-8")
    return report


def facts() -> dict[str, str]:
    """Of this machine and tree, without a path or a host's name."""
    packages = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    return {
        "Date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "Commit": _commit(),
        "Machine": f"{_processor()}, {len(os.sched_getaffinity(0))} cores",
        "System": f"{platform.system()} {platform.machine()}, Python {platform.python_version()}",
        "Packages": packages,
    }


def _commit() -> str:
    git = shutil.which("git")
    if git is None:
        return "unknown"
    run = subprocess.run(
        [git, "describe", "--always", "--dirty"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    return run.stdout.strip() or "unknown"


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor() or "unknown processor"


def _plain(value: Any) -> Any:
    """JSON has no NaN."""
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, Mapping):
        return {str(key): _plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    return value
