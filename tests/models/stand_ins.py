"""Stand-in networks: real sessions are for the tests marked ``models``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

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
