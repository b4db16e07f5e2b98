"""OpenVINO: ONNX files on Intel's and compatible CPUs. Its GPUs are Intel's: no device string means
them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from serve_app.config.device import Device
from serve_app.models.runtime.devices import TABLE
from serve_app.models.runtime.failures import blamed_on
from serve_app.models.runtime.session import Tensors


class OpenVinoSession:
    """``bf16``: multiply in bfloat16, with sums in fp32, whatever the weights are."""

    def __init__(self, model: Path, device: Device, threads: int, *, bf16: bool = False) -> None:
        """Raises ModelError where the file can't be loaded."""
        import openvino as ov

        core = ov.Core()
        settings = {
            "PERFORMANCE_HINT": "LATENCY",
            "NUM_STREAMS": "1",
            "INFERENCE_NUM_THREADS": str(threads),
            # Pinned, the replicas of one machine all sit on the first core: half the throughput.
            "ENABLE_CPU_PINNING": "NO",
            # Processors with AMX would take bf16 unasked; precision is a choice, not a surprise.
            "INFERENCE_PRECISION_HINT": "bf16" if bf16 else "f32",
        }
        self._file = model
        with blamed_on(self._file, "OpenVINO", "loaded"):
            network = core.read_model(str(model))
            # The file's names: compiling gives a port further ones, of layers that were fused away.
            self._inputs = tuple(i.get_any_name() for i in network.inputs)
            self._outputs = [o.get_any_name() for o in network.outputs]
            compiled = core.compile_model(network, TABLE[device.kind].openvino, settings)
            self._request = compiled.create_infer_request()

    @property
    def input_names(self) -> tuple[str, ...]:
        return self._inputs

    def run(self, inputs: Tensors) -> dict[str, NDArray[Any]]:
        wanted = {name: inputs[name] for name in self._inputs}
        with blamed_on(self._file, "OpenVINO", "run"):
            results = self._request.infer(wanted, share_inputs=True, share_outputs=False)
            return {name: np.asarray(results[i]) for i, name in enumerate(self._outputs)}


def has_bf16(device: Device) -> bool:
    """Whether OpenVINO computes in bfloat16 on the device: processors with AVX512_BF16 or AMX."""
    import openvino as ov

    name = TABLE[device.kind].openvino
    return name is not None and "BF16" in ov.Core().get_property(name, "OPTIMIZATION_CAPABILITIES")
