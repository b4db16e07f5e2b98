"""What every runtime looks like to the rest: one protocol."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from numpy.typing import NDArray

Tensors = Mapping[str, NDArray[Any]]


class Session(Protocol):
    """A loaded network. Not thread-safe: its owner runs it on one thread at a time."""

    @property
    def input_names(self) -> tuple[str, ...]: ...

    def run(self, inputs: Tensors) -> dict[str, NDArray[Any]]:
        """Outputs by name. Inputs are C-contiguous arrays, batch first."""
        ...
