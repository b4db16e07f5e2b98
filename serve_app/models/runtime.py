"""The seam to a model runtime: arrays in, arrays out.

The only module that imports Paddle Inference, ONNX Runtime or OpenVINO, and only the one that is
used: Paddle's import alone takes three seconds. A session is not thread-safe; its owner runs it on
one thread at a time. Device choice belongs here too; this version runs on the CPU.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from serve_app.errors import ConfigError, ModelError

Tensors = Mapping[str, NDArray[Any]]

MODULES = {"paddle": "paddle", "onnxruntime": "onnxruntime", "openvino": "openvino"}
ONNX_RUNTIMES = ("onnxruntime", "openvino")


class Session(Protocol):
    """A loaded network."""

    @property
    def input_names(self) -> tuple[str, ...]: ...

    def run(self, inputs: Tensors) -> dict[str, NDArray[Any]]:
        """Outputs by name. Inputs are C-contiguous arrays, batch first."""
        ...


def open_session(model: Path, *, runtime: str, preferred: Sequence[str], threads: int) -> Session:
    """Load ``model``: an ONNX file, or a directory in Paddle's form.

    ``runtime`` is a name of ``MODULES``, or ``auto``: the first of ``preferred`` that is installed.
    Raises ConfigError where the runtime is not installed or can't run this form.
    """
    name = choose_runtime(model, runtime=runtime, preferred=preferred)
    if name == "paddle":
        return PaddleSession(model, threads)
    if name == "openvino":
        return OpenVinoSession(model, threads)
    return OnnxRuntimeSession(model, threads)


def choose_runtime(model: Path, *, runtime: str, preferred: Sequence[str]) -> str:
    """The runtime that will load ``model``; see ``open_session``."""
    form = "an ONNX file" if model.suffix == ".onnx" else "a Paddle directory"
    fitting = ONNX_RUNTIMES if model.suffix == ".onnx" else ("paddle",)
    if runtime != "auto":
        if runtime not in MODULES:
            raise ConfigError(
                f"runtime: {runtime} is not known; choose one of auto, {', '.join(MODULES)}"
            )
        if runtime not in fitting:
            raise ConfigError(
                f"runtime: {runtime} can't run {form}; choose auto or {' or '.join(fitting)}"
            )
        if not is_installed(runtime):
            raise ConfigError(f"runtime: {runtime} is not installed; install it or choose auto")
        return runtime
    ranked = [name for name in preferred if name in fitting] or list(fitting)
    for name in ranked:
        if is_installed(name):
            return name
    raise ConfigError(f"no runtime for {form} is installed; install one of {', '.join(fitting)}")


def is_installed(runtime: str) -> bool:
    return importlib.util.find_spec(MODULES[runtime]) is not None


class OnnxRuntimeSession:
    def __init__(self, model: Path, threads: int) -> None:
        import onnxruntime as ort

        options = ort.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        # Idle threads would spin on the cores that the next stage needs.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        self._session = ort.InferenceSession(
            str(model), options, providers=["CPUExecutionProvider"]
        )
        self._inputs = tuple(i.name for i in self._session.get_inputs())
        self._outputs = [o.name for o in self._session.get_outputs()]

    @property
    def input_names(self) -> tuple[str, ...]:
        return self._inputs

    def run(self, inputs: Tensors) -> dict[str, NDArray[Any]]:
        return dict(zip(self._outputs, self._session.run(self._outputs, dict(inputs)), strict=True))


class OpenVinoSession:
    def __init__(self, model: Path, threads: int) -> None:
        import openvino as ov

        core = ov.Core()
        settings = {
            "PERFORMANCE_HINT": "LATENCY",
            "NUM_STREAMS": "1",
            "INFERENCE_NUM_THREADS": str(threads),
            # Pinned, the replicas of one machine all sit on the first core: half the throughput.
            "ENABLE_CPU_PINNING": "NO",
            # Processors with AMX would take bf16 unasked; precision is a choice, not a surprise.
            "INFERENCE_PRECISION_HINT": "f32",
        }
        network = core.read_model(str(model))
        # The file's names: compiling gives a port further ones, of layers that were fused away.
        self._inputs = tuple(i.get_any_name() for i in network.inputs)
        self._outputs = [o.get_any_name() for o in network.outputs]
        self._request = core.compile_model(network, "CPU", settings).create_infer_request()

    @property
    def input_names(self) -> tuple[str, ...]:
        return self._inputs

    def run(self, inputs: Tensors) -> dict[str, NDArray[Any]]:
        results = self._request.infer(dict(inputs), share_inputs=True, share_outputs=False)
        return {name: np.asarray(results[i]) for i, name in enumerate(self._outputs)}


class PaddleSession:
    """Paddle Inference on ``inference.json`` (or ``.pdmodel``) and ``inference.pdiparams``.

    oneDNN is on: without it Paddle is 2 to 14 times slower. Its bfloat16 mode stays off: it gives
    NaN (docs/decisions/0003).
    """

    def __init__(self, model: Path, threads: int) -> None:
        network, parameters = paddle_files(model)
        from paddle import inference

        config = inference.Config(str(network), str(parameters))
        config.disable_gpu()
        config.enable_mkldnn()
        config.set_mkldnn_cache_capacity(10)  # image sizes vary; an unbounded cache leaks
        config.set_cpu_math_library_num_threads(threads)
        config.enable_memory_optim()
        config.disable_glog_info()
        if network.suffix == ".json":
            config.enable_new_ir(True)
            config.enable_new_executor(True)
        self._predictor = inference.create_predictor(config)
        self._inputs = tuple(self._predictor.get_input_names())

    @property
    def input_names(self) -> tuple[str, ...]:
        return self._inputs

    def run(self, inputs: Tensors) -> dict[str, NDArray[Any]]:
        for name in self._inputs:
            self._predictor.get_input_handle(name).copy_from_cpu(inputs[name])
        self._predictor.run()
        return {
            name: self._predictor.get_output_handle(name).copy_to_cpu()
            for name in self._predictor.get_output_names()
        }


def paddle_files(directory: Path) -> tuple[Path, Path]:
    """Network and parameter file of a Paddle model directory. Raises ModelError if one lacks."""
    parameters = directory / "inference.pdiparams"
    for network in (directory / "inference.json", directory / "inference.pdmodel"):
        if network.exists() and parameters.exists():
            return network, parameters
    raise ModelError(
        f"model directory {directory.name} needs inference.pdiparams and inference.json or "
        "inference.pdmodel"
    )
