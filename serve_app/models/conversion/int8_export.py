"""From an ONNX file to one in int8 with the library NNCF, in a process of its own: it prints bars,
and brings scikit-learn along. ``conversion.to_int8`` starts it."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from serve_app.models.child import Send, run_as_child

BATCH = 10
"""Inputs of one step. NNCF averages the ranges of values that the steps have: of single faces that
cuts off what is bright or dark (cosines to fp32 down to 0.90), of ten it does not (0.98)."""


def export(network: Path, name: str, inputs: Path, target: Path) -> None:
    """Quantise ``network`` to ``target`` for inputs like those in the file ``inputs``: an array
    (N, ...), N >= 1, for the network's input ``name``."""
    silence_telemetry()
    import nncf
    import onnx

    values = np.load(inputs)
    size = min(BATCH, len(values))
    steps = [values[i : i + size] for i in range(0, len(values) - size + 1, size)]
    made = nncf.quantize(
        onnx.load(str(network)),
        nncf.Dataset(steps, lambda step: {name: step}),
        # Weights symmetric, activations not: PReLU's outputs have no symmetry.
        preset=nncf.QuantizationPreset.MIXED,
        subset_size=len(steps),
    )
    onnx.save(made, str(target))


def silence_telemetry() -> None:
    """NNCF reports to Google Analytics, unasked, through this package, and does without where it
    can't be imported."""
    sys.modules["openvino_telemetry"] = None  # type: ignore[assignment]


def _work(arguments: Sequence[str], send: Send) -> None:
    network, name, inputs, target = arguments
    export(Path(network), name, Path(inputs), Path(target))
    send({})


if __name__ == "__main__":
    run_as_child(_work)
