"""Stand-in networks: real sessions are for the tests marked ``models``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

Tensor = NDArray[Any]


class FunctionSession:
    """A session whose network is a Python function of its first input."""

    def __init__(
        self, network: Callable[[Tensor], dict[str, Tensor]], inputs: tuple[str, ...] = ("x",)
    ) -> None:
        self._network = network
        self._inputs = inputs
        self.seen: list[Mapping[str, Tensor]] = []

    @property
    def input_names(self) -> tuple[str, ...]:
        return self._inputs

    def run(self, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        assert tuple(inputs) == self._inputs
        assert all(tensor.flags.c_contiguous for tensor in inputs.values())
        self.seen.append(inputs)
        return self._network(inputs[self._inputs[0]])


class ChoosySession(FunctionSession):
    """Has a wish where its inputs lie; ``given``: the memory that it gave for them."""

    def __init__(
        self, network: Callable[[Tensor], dict[str, Tensor]], inputs: tuple[str, ...] = ("x",)
    ) -> None:
        super().__init__(network, inputs)
        self.given: list[Tensor] = []

    def input_memory(self, size: int) -> NDArray[np.float32]:
        memory = np.zeros(size, dtype=np.float32)
        self.given.append(memory)
        return memory
