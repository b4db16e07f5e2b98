"""Where the time of ``predict`` goes, and how much of it the networks would take alone.

A network's time is measured twice: within the run, and alone afterwards, on the same inputs and in
as many threads at once. The second is what the run is held against: within it a thread may wait for
another's Python code, which is the run's own cost and not the network's.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from serve_app.models.runtime import Session, Tensors, memory_of
from serve_app.models.runtime.session import Memory

Answer = TypeVar("Answer")

SAMPLES = 16
"""Inputs of a network that are kept for running it alone, of every fifth run: copying costs."""
KEEP_EVERY = 5


class Laps:
    """Seconds by stage of one thread's work, from one call of ``lap`` to the next."""

    def __init__(self) -> None:
        self.stages: dict[str, float] = {}
        self._last = time.perf_counter()

    def lap(self, stage: str) -> None:
        """What was done since the last call was this stage."""
        now = time.perf_counter()
        self.stages[stage] = self.stages.get(stage, 0.0) + now - self._last
        self._last = now


class Recorder:
    """A session that counts, and keeps some of its inputs. As thread-safe as the one within."""

    def __init__(self, session: Session) -> None:
        self.seconds = 0.0
        self.items = 0
        self._runs = 0
        self._session = session
        self._samples: list[Tensors] = []

    @property
    def input_names(self) -> tuple[str, ...]:
        return self._session.input_names

    @property
    def input_memory(self) -> Memory:
        return memory_of(self._session)

    def run(self, inputs: Tensors) -> dict[str, NDArray[Any]]:
        start = time.perf_counter()
        outputs = self._session.run(inputs)
        self.seconds += time.perf_counter() - start
        self.items += _length(inputs)
        self._runs += 1
        if self._runs % KEEP_EVERY == 1 and len(self._samples) < SAMPLES:
            self._samples.append({name: np.array(value) for name, value in inputs.items()})
        return outputs

    def forget(self) -> None:
        """What came before does not count: loading a stage runs its network once."""
        self.seconds, self.items, self._runs, self._samples = 0.0, 0, 0, []

    def alone(self, rounds: int) -> tuple[float, int]:
        """Seconds and items of running what was kept again, nothing in between."""
        start = time.perf_counter()
        for _ in range(rounds):
            for inputs in self._samples:
                self._session.run(inputs)
        seconds = time.perf_counter() - start
        return seconds, rounds * sum(_length(inputs) for inputs in self._samples)


class Recorders:
    """The networks of one worker, by name."""

    def __init__(self) -> None:
        self.networks: dict[str, Recorder] = {}

    @property
    def have_run(self) -> bool:
        return any(recorder.items for recorder in self.networks.values())

    def watch(self, name: str, session: Session) -> Session:
        self.networks[name] = Recorder(session)
        return self.networks[name]

    def forget(self) -> None:
        for recorder in self.networks.values():
            recorder.forget()


@dataclass(frozen=True, slots=True)
class Report:
    """Seconds in ``stages`` and of ``networks`` are sums over all workers; ``wall_s`` is not.

    ``alone_s``: what the networks take alone, for as many images and faces, in as many threads.
    """

    images: int
    faces: int
    workers: int
    wall_s: float
    stages: dict[str, float]
    networks: dict[str, float]
    alone_s: float

    @property
    def share(self) -> float:
        """Of the run, the part that the networks would take alone."""
        return self.alone_s / self.wall_s if self.wall_s else 0.0


class Timings:
    """Adds up over every call and every worker. Any thread may add."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._stages: dict[str, float] = {}
        self._workers: list[Recorders] = []
        self._images = self._faces = 0
        self._wall_s = 0.0

    def add_worker(self, recorders: Recorders) -> None:
        """The networks of one worker; what they ran until now, to be loaded, does not count."""
        recorders.forget()
        with self._lock:
            self._workers.append(recorders)

    def clear(self) -> None:
        """Forget what was counted; the workers' networks go on being watched."""
        with self._lock:
            for recorders in self._workers:
                recorders.forget()
            self._stages, self._images, self._faces, self._wall_s = {}, 0, 0, 0.0

    def add(self, images: int, faces: int, stages: Mapping[str, float]) -> None:
        """What a few images took, seconds by stage."""
        with self._lock:
            self._images += images
            self._faces += faces
            for name, seconds in stages.items():
                self._stages[name] = self._stages.get(name, 0.0) + seconds

    def clocked(self, answers: Iterator[Answer]) -> Iterator[Answer]:
        """``answers``, with the time until the last of them as the wall's."""
        start = time.perf_counter()
        try:
            yield from answers
        finally:
            with self._lock:
                self._wall_s += time.perf_counter() - start

    def report(self, rounds: int = 3) -> Report:
        """Runs the networks alone: takes about as many seconds as ``rounds`` times 16 of their
        runs. Nothing else should be running."""
        used = [worker.networks for worker in self._workers if worker.have_run]
        networks: dict[str, float] = {}
        alone_s = 0.0
        for name in used[0] if used else ():
            recorders = [worker[name] for worker in used]
            networks[name] = sum(recorder.seconds for recorder in recorders)
            items = sum(recorder.items for recorder in recorders)
            alone_s += items * _seconds_alone(recorders, rounds)
        return Report(
            self._images,
            self._faces,
            len(used),
            self._wall_s,
            dict(self._stages),
            networks,
            alone_s,
        )


def _seconds_alone(recorders: Sequence[Recorder], rounds: int) -> float:
    """Wall seconds an item, with every worker's network running at once."""
    recorders = [recorder for recorder in recorders if recorder.items]
    if not recorders:
        return 0.0
    with ThreadPoolExecutor(len(recorders)) as pool:
        runs = list(pool.map(lambda recorder: recorder.alone(rounds), recorders))
    # Items a second add up over the workers.
    return float(1 / sum(count / seconds for seconds, count in runs))


def _length(inputs: Tensors) -> int:
    return len(next(iter(inputs.values())))
