"""ONNX Runtime: ONNX files, on CPUs and, where its CUDA build is installed, on NVIDIA's GPUs."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

from filelock import FileLock
from numpy.typing import NDArray

from serve_app.config.device import Device
from serve_app.errors import ConfigError
from serve_app.models.runtime.devices import Engines, onnx_providers
from serve_app.models.runtime.failures import blamed_on
from serve_app.models.runtime.pinned import input_memory
from serve_app.models.runtime.session import Tensors


class OnnxRuntimeSession:
    """``engines``: with TensorRT, which builds them; None is without. Neither CUDA nor TensorRT
    ever ran here: what they are told was tested, on no GPU."""

    def __init__(
        self, model: Path, device: Device, threads: int, engines: Engines | None = None
    ) -> None:
        """Raises ModelError where the file can't be loaded, ConfigError where the GPU can't be
        used: ONNX Runtime by itself would run on the CPU then, and only say so in its log."""
        import onnxruntime as ort

        self._file = model
        self.input_memory = input_memory(device)
        options = ort.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        # Idle threads would spin on the cores that the next stage needs.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        providers = onnx_providers(device, engines)
        with blamed_on(self._file, "ONNX Runtime", "loaded"), _building(engines):
            self._session = ort.InferenceSession(
                str(model), options, providers=providers, enable_fallback=0
            )
        missing = [name for name, _ in providers if name not in self._session.get_providers()]
        if missing:
            raise ConfigError(
                f"device {device}: ONNX Runtime can't use {', '.join(missing)}: are the CUDA, "
                "cuDNN and TensorRT libraries of its build installed?"
            )
        self._inputs = tuple(i.name for i in self._session.get_inputs())
        self._outputs = [o.name for o in self._session.get_outputs()]

    @property
    def input_names(self) -> tuple[str, ...]:
        return self._inputs

    def run(self, inputs: Tensors) -> dict[str, NDArray[Any]]:
        wanted = {name: inputs[name] for name in self._inputs}
        with blamed_on(self._file, "ONNX Runtime", "run"):
            results = self._session.run(self._outputs, wanted)
        return dict(zip(self._outputs, results, strict=True))


def _building(engines: Engines | None) -> AbstractContextManager[object]:
    """Of several replicas on one machine the first builds, for minutes, and the others wait."""
    if engines is None:
        return nullcontext()
    engines.directory.mkdir(parents=True, exist_ok=True)
    return FileLock(engines.directory / "lock")
