"""From Paddle's inference form to an ONNX file with the library paddle2onnx, in a process of its
own: it prints, and it aborts on what it does not know. ``conversion.to_onnx`` starts it."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

from serve_app.errors import ModelError
from serve_app.models.child import Send, run_as_child

OPSET = 16


def export(network: Path, parameters: Path, target: Path) -> None:
    """Write the ONNX file ``target``. Raises ModelError; may end the process."""
    paddle2onnx = import_module("paddle2onnx")
    # Without the optimisers that it depends on: the runtimes fold constants themselves.
    paddle2onnx.export(
        str(network), str(parameters), str(target), opset_version=OPSET, optimize_tool=""
    )
    if not target.is_file():
        raise ModelError("paddle2onnx can't convert it")


def _work(arguments: Sequence[str], send: Send) -> None:
    network, parameters, target = map(Path, arguments)
    export(network, parameters, target)
    send({})


if __name__ == "__main__":
    run_as_child(_work)
