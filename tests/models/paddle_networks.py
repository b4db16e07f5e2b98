"""One small network in every form that a Paddle directory comes in, exported by Paddle itself.

=================== ============================================================================
``*32``             fp32 throughout
``*_cast``          fp16 parameters, cast to fp32 inside
``*_half``          computes in fp16, between an fp32 input and an fp32 output
``*_mixed``         as ``paddle.inference.convert_to_mixed_precision`` writes it
``*_many``          another network, of twelve outputs: x times 0, 1, ..., 11
=================== ============================================================================
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

FORMS = (
    "json32", "json_cast", "json_half", "json_mixed",
    "pdmodel32", "pdmodel_cast", "pdmodel_half", "pdmodel_mixed",
)  # fmt: skip
INPUT = np.random.default_rng(0).normal(size=(3, 3, 112, 112)).astype(np.float32)


def export_all(folder: Path) -> None:
    """Takes some seconds: Paddle writes ``.json`` or ``.pdmodel``, as its environment says, so it
    is two processes."""
    for flag in ("1", "0"):
        subprocess.run(
            [sys.executable, "-m", "tests.models.paddle_export", str(folder)],
            env=os.environ | {"FLAGS_enable_pir_api": flag},
            capture_output=True,
            check=True,
            timeout=170,
        )


def network_files(directory: Path) -> tuple[Path, Path]:
    (network,) = [*directory.glob("inference.json"), *directory.glob("inference.pdmodel")]
    return network, directory / "inference.pdiparams"


def cosines(one: NDArray[Any], other: NDArray[Any]) -> NDArray[Any]:
    """Row by row."""
    norms = np.linalg.norm(one, axis=1) * np.linalg.norm(other, axis=1)
    return np.asarray((one * other).sum(axis=1) / norms)
