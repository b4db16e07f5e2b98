"""A network in a runtime that may want it in another form than it has: converted at first use."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from serve_app.config.device import Device
from serve_app.models.conversion.to_onnx import INSTALL, to_onnx
from serve_app.models.conversion.to_paddle import output_names, to_paddle
from serve_app.models.network import Network
from serve_app.models.runtime import Session, Tensors, is_installed, open_session, runs_on
from serve_app.models.runtime.paddle_inference import paddle_files
from serve_app.models.runtime.session import Memory, memory_of
from serve_app.models.selection.agreement import boxes_position
from serve_app.models.selection.machine import version

ON_DEVICE = {
    "cpu": ("paddle", "onnxruntime", "openvino"),
    "gpu": ("paddle", "paddle-tensorrt", "onnxruntime", "onnxruntime-tensorrt"),
}
"""Runtimes to choose from for a kind of device, whatever is installed. The others have Paddle."""


@dataclass(frozen=True, slots=True)
class RunOptions:
    """``runtime``: ``auto`` (the plain one: the first of the network's preferred that is
    installed), ``fastest`` (as measured on this machine), or a runtime's name. ``threads``: of one
    run. ``cache_dir``: holds converted networks and what was measured. ``bf16``: let OpenVINO
    compute so. ``fp16``: let TensorRT or, on a GPU, Paddle. ``max_batch``: no run will have more
    images, and all of one size; None: nothing is known of that."""

    runtime: str
    device: Device
    threads: int
    cache_dir: Path
    bf16: bool = False
    fp16: bool = False
    max_batch: int | None = None


class NamedOutputs:
    """A session whose outputs are called as in the file that was converted for it."""

    def __init__(self, session: Session, outputs: tuple[str, ...]) -> None:
        self._session = session
        self._outputs = outputs

    @property
    def input_names(self) -> tuple[str, ...]:
        return self._session.input_names

    @property
    def input_memory(self) -> Memory:
        return memory_of(self._session)

    def run(self, inputs: Tensors) -> dict[str, NDArray[Any]]:
        return dict(zip(self._outputs, self._session.run(inputs).values(), strict=True))


class BestFirst:
    """A session of a detector with suppression inside, whose boxes come as Paddle has them: best
    first. OpenVINO's operator keeps no order. Answers of other networks stay as they are."""

    def __init__(self, session: Session) -> None:
        self._session = session

    @property
    def input_names(self) -> tuple[str, ...]:
        return self._session.input_names

    @property
    def input_memory(self) -> Memory:
        return memory_of(self._session)

    def run(self, inputs: Tensors) -> dict[str, NDArray[Any]]:
        outputs = self._session.run(inputs)
        position = boxes_position(outputs)
        if position is not None:
            name, count = list(outputs)[position], list(outputs.values())[1 - position]
            boxes = outputs[name][: int(count[0])]
            outputs[name] = boxes[np.argsort(-boxes[:, 1], kind="stable")]
        return outputs


def runtimes_of(device: Device) -> tuple[str, ...]:
    return ON_DEVICE.get(device.kind, ("paddle",))


def runs_as_it_is(network: Network, runtime: str) -> bool:
    return network.is_onnx != runtime.startswith("paddle")


def lack(network: Network, runtime: str, device: Device) -> str | None:
    """What has to be installed before ``runtime`` runs ``network``; None: nothing."""
    if not is_installed(runtime):
        return "not installed"
    if not runs_on(runtime, device):
        return f"not made for {device.kind} as installed"
    if runs_as_it_is(network, runtime):
        return None
    if network.is_onnx and not is_installed("paddle"):
        return "needs paddlepaddle to be converted"
    if not network.is_onnx and version("paddle2onnx") is None:
        return f"needs paddle2onnx to be converted: {INSTALL}"
    return None


def open_in(network: Network, runtime: str, options: RunOptions) -> Session:
    """Load ``network`` in ``runtime``, converted if need be.

    Raises ConfigError where the runtime is not installed or not for the device, ModelError where
    the network can't be converted or loaded.
    """
    path = file_for(network, runtime, options)
    session = open_session(
        path,
        runtime=runtime,
        device=options.device,
        threads=options.threads,
        cache_dir=options.cache_dir,
        example=network.example(),
        bf16=options.bf16,
        fp16=options.fp16,
        max_batch=options.max_batch,
    )
    if path == network.path:
        return session
    return NamedOutputs(session, output_names(path)) if network.is_onnx else BestFirst(session)


def file_for(network: Network, runtime: str, options: RunOptions) -> Path:
    """What ``runtime`` loads: the network as it is, or converted. Raises ModelError."""
    # A runtime that is not there is refused by open_session: no conversion for nothing.
    if runs_as_it_is(network, runtime) or not runs_on(runtime, options.device):
        return network.path
    if network.is_onnx:
        return to_paddle(network.path, options.cache_dir)
    return to_onnx(*paddle_files(network.path), options.cache_dir)
