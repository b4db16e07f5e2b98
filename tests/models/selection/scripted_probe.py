"""Stands in for ``serve_app.models.selection.probe``: runtimes whose speed, answer and end a script
says. Run as a program by the trial.

The network's file is the script: JSON, a runtime's name to what it does. Each start is a line in
``started`` beside it.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from serve_app.errors import ModelError
from serve_app.models.child import Send, run_as_child
from serve_app.models.selection.probe import write_tensors

EMBEDDING = np.arange(1, 9, dtype=np.float32).reshape(1, 8)


def _work(arguments: Sequence[str], send: Send) -> None:
    file = Path(arguments[0])
    request = json.loads(file.read_text(encoding="utf-8"))
    script_file = Path(request["path"])
    script = json.loads(script_file.read_text(encoding="utf-8"))[request["runtime"]]
    with script_file.with_name("started").open("a", encoding="utf-8") as log:
        log.write(f"{request['runtime']} {request['threads']}\n")
    end = script.get("end")
    if end == "crash":
        os.abort()
    if end == "hang":
        time.sleep(600)
    if end == "refuse":
        raise ModelError("the network can't be loaded")
    answer = EMBEDDING * script.get("factor", 1)
    answer[0, 0] += script.get("error", 0)
    write_tensors(file.with_suffix(".npz"), {"embedding": answer})
    send({})
    turns = script["ms"] if isinstance(script["ms"], list) else [script["ms"]] * 99
    for ms in turns:
        input()
        send({"seconds": ms / 1000})
    input()
    os.abort()


if __name__ == "__main__":
    run_as_child(_work)
