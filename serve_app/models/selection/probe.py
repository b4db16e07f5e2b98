"""One runtime on trial, in a process of its own: it may crash, hang, or be wrong.

``selection.trial`` starts it, with a file that says what to load. The first answer comes when the
network has run once, its outputs are beside the file then; each line read is a turn of more runs.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from serve_app.config.device import Device
from serve_app.models.child import Send, run_as_child
from serve_app.models.network import Network
from serve_app.models.runtime import Session, Tensors
from serve_app.models.selection.forms import RunOptions, open_in

EXAMPLE = "example.npz"


def write_request(file: Path, network: Network, runtime: str, options: RunOptions) -> None:
    request = {
        "name": network.name,
        "path": str(network.path.absolute()),
        "digest": network.digest,
        "runtime": runtime,
        "device": [options.device.kind, options.device.number],
        "threads": options.threads,
        "cache_dir": str(options.cache_dir.absolute()),
    }
    file.write_text(json.dumps(request), encoding="utf-8")


def write_tensors(file: Path, tensors: Tensors) -> None:
    """By position: a network may use any name, an archive's members may not."""
    np.savez(file, np.array(list(tensors)), *tensors.values())


def read_tensors(file: Path) -> dict[str, NDArray[Any]]:
    with np.load(file) as archive:
        names, *arrays = (archive[member] for member in archive.files)
        return dict(zip(map(str, names), arrays, strict=True))


def turn(session: Session, inputs: Tensors, at_least_s: float) -> dict[str, float]:
    """Seconds a run, the mean of as many as fit: some runtimes are slow every few runs, and the
    fastest would tell another story. The first is left out: it follows another process's."""
    session.run(inputs)
    runs, start = 0, time.perf_counter()
    while (elapsed := time.perf_counter() - start) < at_least_s:
        session.run(inputs)
        runs += 1
    return {"seconds": elapsed / runs}


def _work(arguments: Sequence[str], send: Send) -> None:
    file = Path(arguments[0])
    request = json.loads(file.read_text(encoding="utf-8"))
    example = read_tensors(file.with_name(EXAMPLE))
    path = Path(request["path"])
    network = Network(request["name"], path, request["digest"], (), lambda: example)
    runtime, device = request["runtime"], Device(*request["device"])
    options = RunOptions(runtime, device, request["threads"], Path(request["cache_dir"]))
    session = open_in(network, runtime, options)
    inputs = {name: example[name] for name in session.input_names}
    write_tensors(file.with_suffix(".npz"), session.run(inputs))
    send({})
    for line in sys.stdin:
        send(turn(session, inputs, float(line)))


if __name__ == "__main__":
    run_as_child(_work)
