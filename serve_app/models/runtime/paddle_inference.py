"""Paddle Inference: directories in Paddle's form, on every device that Paddle knows."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from serve_app.config.device import Device
from serve_app.errors import ModelError
from serve_app.models.conversion.paddle_module import import_paddle
from serve_app.models.runtime.devices import TABLE
from serve_app.models.runtime.failures import blamed_on
from serve_app.models.runtime.pinned import input_memory
from serve_app.models.runtime.session import Tensors


class PaddleSession:
    """Runs ``inference.json`` (or ``.pdmodel``) and ``inference.pdiparams``.

    oneDNN is on: without it Paddle is 2 to 14 times slower. Its bfloat16 mode stays off: it gives
    NaN (docs/decisions/0003).

    Every run is on a thread of the session's own: oneDNN keeps compiled layers by thread id, and
    where a new thread gets the id of one that ended, Paddle 3.2.2 takes the old one's and fails.
    """

    def __init__(
        self,
        network: Path,
        parameters: Path,
        device: Device,
        threads: int,
        *,
        fp16: bool = False,
    ) -> None:
        """``fp16``: compute so, whatever the weights are; only for kinds of device that can.

        Raises ModelError where Paddle can't load the files."""
        inference = import_paddle("paddle.inference")
        self._file = network
        self.input_memory = input_memory(device)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="paddle")

        def load() -> Any:
            config = inference.Config(str(network), str(parameters))
            configure(config, device, threads, new_ir=network.suffix == ".json", fp16=fp16)
            return inference.create_predictor(config)

        with blamed_on(self._file, "Paddle", "loaded"):
            self._predictor = self._thread.submit(load).result()
        self._inputs = tuple(self._predictor.get_input_names())

    @property
    def input_names(self) -> tuple[str, ...]:
        return self._inputs

    def run(self, inputs: Tensors) -> dict[str, NDArray[Any]]:
        with blamed_on(self._file, "Paddle", "run"):
            return self._thread.submit(self._run, inputs).result()

    def _run(self, inputs: Tensors) -> dict[str, NDArray[Any]]:
        for name in self._inputs:
            self._predictor.get_input_handle(name).copy_from_cpu(inputs[name])
        self._predictor.run()
        return {
            name: self._predictor.get_output_handle(name).copy_to_cpu()
            for name in self._predictor.get_output_names()
        }


def configure(
    config: Any, device: Device, threads: int, *, new_ir: bool, fp16: bool = False
) -> None:
    """``config``: a ``paddle.inference.Config``. ``new_ir``: the network is in the PIR form."""
    kind = TABLE[device.kind]
    tell = kind.paddle_fp16 if fp16 else kind.paddle
    assert tell is not None, "whoever asks for fp16 looks at the device"
    tell(config, device)
    config.set_cpu_math_library_num_threads(threads)
    config.enable_memory_optim()
    config.disable_glog_info()
    if new_ir:
        config.enable_new_ir(True)
        config.enable_new_executor(True)


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
