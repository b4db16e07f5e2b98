"""What every runtime looks like to the rest: one protocol, and a second for those that have a wish
where their inputs lie."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

Tensors = Mapping[str, NDArray[Any]]

Memory = Callable[[int], NDArray[np.float32]]
"""Gives an array (N,) float32 for N values, holding whatever was there."""


class Session(Protocol):
    """A loaded network. Not thread-safe: its owner runs it on one thread at a time."""

    @property
    def input_names(self) -> tuple[str, ...]: ...

    def run(self, inputs: Tensors) -> dict[str, NDArray[Any]]:
        """Outputs by name. Inputs are C-contiguous arrays, batch first."""
        ...


@runtime_checkable
class OffersMemory(Protocol):
    """A session that reads inputs faster from memory of its own choice (``pinned``). Any other
    array will do as well."""

    @property
    def input_memory(self) -> Memory: ...


def plain_memory(size: int) -> NDArray[np.float32]:
    return np.empty(size, dtype=np.float32)


def memory_of(session: Session) -> Memory:
    """Where inputs of ``session`` had better be prepared: plain memory unless it offers another."""
    return session.input_memory if isinstance(session, OffersMemory) else plain_memory
