"""From an ONNX file to Paddle's inference form, in a process of its own: Paddle's switch to static
graphs holds for a whole process. ``conversion.to_paddle`` starts it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from serve_app.errors import ModelError
from serve_app.models.child import Send, run_as_child
from serve_app.models.conversion.onnx_graph import OnnxGraph, read_graph
from serve_app.models.conversion.paddle_operators import apply

OUTPUTS = "outputs.json"
"""Beside the network: ONNX's names of the outputs, in order. Paddle numbers them."""


def export(source: Path, target: Path) -> None:
    """Write ``inference.json``, ``inference.pdiparams`` and OUTPUTS into the directory ``target``.

    Raises ModelError for what has no counterpart here.
    """
    import paddle

    graph = read_graph(source)
    paddle.enable_static()
    program, startup = paddle.static.Program(), paddle.static.Program()
    with paddle.static.program_guard(program, startup):
        network = _StaticNetwork(graph)
        outputs = [network.tensor(name) for name in graph.outputs]
        executor = paddle.static.Executor(paddle.CPUPlace())
        executor.run(startup)
        network.fill_in()
        paddle.static.save_inference_model(
            str(target / "inference"), network.inputs, outputs, executor, program=program
        )
    (target / OUTPUTS).write_text(json.dumps(graph.outputs), encoding="utf-8")


class _StaticNetwork:
    """Builds ``graph`` in Paddle's current program."""

    def __init__(self, graph: OnnxGraph) -> None:
        import paddle

        self._graph = graph
        self._tensors: dict[str, Any] = {
            name: paddle.static.data(name, shape, "float32") for name, shape in graph.inputs.items()
        }
        self.inputs = list(self._tensors.values())
        self._weights: list[tuple[Any, NDArray[Any]]] = []
        for node in graph.nodes:
            self._tensors[node.outputs[0]] = apply(node, self)

    def tensor(self, name: str) -> Any:
        if name not in self._tensors:
            self._tensors[name] = self.weight(self.constant(name))
        return self._tensors[name]

    def constant(self, name: str) -> NDArray[Any]:
        if name not in self._graph.constants:
            raise ModelError(f"{name} is computed where only a constant can be converted")
        return self._graph.constants[name]

    def weight(self, array: NDArray[Any]) -> Any:
        """A scalar gets one dimension, as Paddle asks."""
        import paddle

        array = np.atleast_1d(np.asarray(array, dtype=np.float32))
        parameter = paddle.static.create_parameter(
            list(array.shape),
            "float32",
            name=f"weight_{len(self._weights)}",
            default_initializer=paddle.nn.initializer.Constant(0.0),
        )
        self._weights.append((parameter, array))
        return parameter

    def fill_in(self) -> None:
        """After the start-up program, which makes room: as an initializer, the weights of SFace
        would take 15 s, being written into the program one by one."""
        import paddle

        scope = paddle.static.global_scope()
        for parameter, array in self._weights:
            scope.find_var(parameter.name).get_tensor().set(array, paddle.CPUPlace())


def _work(arguments: Sequence[str], send: Send) -> None:
    source, target = map(Path, arguments)
    export(source, target)
    send({})


if __name__ == "__main__":
    run_as_child(_work)
