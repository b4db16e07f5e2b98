"""Networks whose runtimes follow a script, and what the trial asked of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from serve_app.config.device import Device
from serve_app.models.network import Network
from serve_app.models.selection.forms import RunOptions
from serve_app.models.selection.trial import Rules
from tests.models.selection import scripted_probe

RULES = Rules(module=scripted_probe.__name__, load_deadline_s=60, turn_deadline_s=60, max_turns=6)


def network(folder: Path, **runtimes: Any) -> Network:
    """Prefers ``onnxruntime``. Each runtime: milliseconds of a run, or what the script says."""
    script = {
        name: does if isinstance(does, dict) else {"ms": does} for name, does in runtimes.items()
    }
    file = folder / "network.onnx"
    file.write_text(json.dumps(script), encoding="utf-8")
    return Network(
        "Net", file, "d" * 64, ("onnxruntime", "openvino"),
        lambda: {"x": np.zeros((4, 3, 8, 8), dtype=np.float32)},
    )  # fmt: skip


def options(folder: Path, threads: int = 1) -> RunOptions:
    return RunOptions("fastest", Device(), threads, folder / "cache")


def started(folder: Path) -> list[str]:
    """Runtime and threads of each probe there was."""
    log = folder / "started"
    return sorted(log.read_text(encoding="utf-8").splitlines()) if log.exists() else []
