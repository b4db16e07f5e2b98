"""A network as the zoo hands it over: weights on disk, before a runtime has loaded them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from serve_app.models.runtime import Tensors


@dataclass(frozen=True, slots=True)
class Network:
    """``path``: an ONNX file, or a directory in Paddle's form. ``digest``: SHA-256 of the weights,
    hex. ``preferred``: runtimes that run it as it is, fastest first, as measured with one thread
    (docs/benchmarks.md). ``example``: inputs of a typical run by name, to measure and compare
    runtimes with; it may hold more than the network takes. A detector's shows faces
    (``selection.picture``)."""

    name: str
    path: Path
    digest: str
    preferred: tuple[str, ...]
    example: Callable[[], Tensors]

    @property
    def is_onnx(self) -> bool:
        return self.path.suffix == ".onnx"
