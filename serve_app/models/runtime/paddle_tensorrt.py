"""Paddle with TensorRT: networks rewritten once so that TensorRT runs what it can of them.

In Paddle 3 this is a conversion (``paddle.tensorrt.convert``, "PIR-TRT"), for ``.json`` and
``.pdmodel`` alike: it runs the network on sample inputs, learns the range of every shape, builds
engines and saves a program that calls them; that one is then loaded as any other on a GPU.
(``Config.enable_tensorrt_engine`` is the way of the older intermediate representation.)

Never run: there was no GPU. What Paddle is asked for was tested with a stand-in of
``paddle.tensorrt``, from the signatures of Paddle 3's ``python/paddle/tensorrt/export.py``.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock

from serve_app.config.device import Device
from serve_app.errors import ConfigError
from serve_app.models.conversion.cached import digest_of
from serve_app.models.conversion.paddle_module import import_paddle
from serve_app.models.conversion.program import input_shapes
from serve_app.models.runtime.failures import blamed_on, shown
from serve_app.models.runtime.session import Tensors

WORKSPACE_BYTES = 1 << 30
MIN_OPERATORS = 3
"""Fewer in a row are left to Paddle (``min_subgraph_size``)."""


def with_engines(
    network: Path,
    parameters: Path,
    device: Device,
    cache_dir: Path,
    example: Tensors | None,
    *,
    fp16: bool = False,
) -> tuple[Path, Path]:
    """Network and parameter file with engines for batches of one up to ``example``'s, made at the
    first call with these files, this GPU, this Paddle and this precision (minutes). ``fp16``: they
    compute so; what Paddle keeps for itself stays fp32.

    The directory is written in place and marked when it is done, not renamed: the program may name
    its engines by path. Raises ConfigError without an example, and for a network that takes images
    of any size (its engines would be for the example's alone); ModelError where Paddle fails.
    """
    shapes = input_shapes(network)
    if example is None:
        raise ConfigError("runtime: paddle-tensorrt needs example inputs; choose another runtime")
    if any(-1 in shape[1:] for shape in shapes.values()):
        raise ConfigError(
            f"runtime: paddle-tensorrt needs a fixed size of image, {shown(network)} takes any; "
            "choose auto"
        )
    samples = {key: np.ascontiguousarray(example[key]) for key in shapes}
    directory = cache_dir / "tensorrt" / _key(network, parameters, samples, device, fp16)
    directory.mkdir(parents=True, exist_ok=True)
    done = directory / "done"
    with FileLock(directory / "lock"):
        if not done.exists():
            with blamed_on(network, "TensorRT", "converted"):
                _convert(network, samples, directory / "inference", fp16)
            done.touch()
    return directory / "inference.json", directory / "inference.pdiparams"


def _convert(network: Path, samples: Tensors, target: Path, fp16: bool) -> None:
    export = import_paddle("paddle.tensorrt.export")
    inputs = [
        # input_data_type: None, or Paddle warns that it is not used
        export.Input(warmup_data=_smallest_and_largest(sample), input_data_type=None, name=name)
        for name, sample in samples.items()
    ]
    config = export.TensorRTConfig(
        inputs=inputs,
        min_subgraph_size=MIN_OPERATORS,
        save_model_dir=str(target),
        precision_mode=export.PrecisionMode.FP16 if fp16 else export.PrecisionMode.FP32,
        workspace_size=WORKSPACE_BYTES,
    )
    export.convert(os.fspath(network), config)


def _smallest_and_largest(sample: Any) -> tuple[Any, ...]:
    """Smallest, usual and largest input; the usual is the largest."""
    return np.ascontiguousarray(sample[:1]), sample, sample


def _key(network: Path, parameters: Path, samples: Tensors, device: Device, fp16: bool) -> str:
    """Engines are good for one kind of GPU, one Paddle (and its TensorRT), these shapes and one
    precision."""
    paddle = import_paddle()
    shapes = sorted((name, sample.shape, str(sample.dtype)) for name, sample in samples.items())
    facts = (
        digest_of(network, parameters),
        paddle.version.full_version,
        paddle.version.tensorrt(),
        paddle.device.cuda.get_device_name(device.number),
        shapes,
        "fp16" if fp16 else "fp32",
    )
    digest = hashlib.sha256(repr(facts).encode()).hexdigest()
    return f"{network.parent.name}-{digest[:12]}"
