from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from serve_app.pipeline.timings import KEEP_EVERY, SAMPLES, Laps, Recorder, Recorders, Timings


class Sleeps:
    """A network that takes its time, and lets other threads run meanwhile."""

    input_names = ("x",)

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self.runs = 0

    def run(self, inputs: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        time.sleep(self._seconds)
        self.runs += 1
        return {"y": inputs["x"]}


def tensor(items: int) -> dict[str, NDArray[Any]]:
    return {"x": np.zeros((items, 3), dtype=np.float32)}


def test_a_recorder_answers_as_the_session_and_counts() -> None:
    session = Sleeps(0.001)
    recorder = Recorder(session)
    recorder.run(tensor(1))
    recorder.forget()
    for items in (2, 3):
        assert recorder.run(tensor(items))["y"].shape == (items, 3)
    assert recorder.input_names == ("x",)
    assert recorder.items == 5
    assert recorder.seconds >= 0.002


def test_alone_runs_what_was_kept_again() -> None:
    session = Sleeps(0)
    recorder = Recorder(session)
    for _ in range(KEEP_EVERY * (SAMPLES + 5)):
        recorder.run(tensor(2))
    before = session.runs
    _, items = recorder.alone(rounds=2)
    assert session.runs - before == 2 * SAMPLES
    assert items == 2 * 2 * SAMPLES


def test_a_report_adds_up_over_workers() -> None:
    timings = Timings()
    workers = [Recorders() for _ in range(3)]
    for worker in workers:
        worker.watch("net", Sleeps(0.01)).run(tensor(1))  # as loading a stage does
        timings.add_worker(worker)
    start = time.perf_counter()
    for worker in workers[:2]:  # one was never needed
        for _ in range(5):
            worker.networks["net"].run(tensor(1))
    for images in (4, 6):
        laps = Laps()
        time.sleep(0.01)
        laps.lap("read")
        laps.lap("decode")
        timings.add(images, images + 1, laps.stages)
    assert list(timings.clocked(iter([1, 2]))) == [1, 2]
    wall = time.perf_counter() - start
    report = timings.report(rounds=1)
    assert (report.images, report.faces, report.workers) == (10, 12, 2)
    assert report.stages["read"] == pytest.approx(0.02, rel=0.8)
    assert report.networks["net"] == pytest.approx(0.1, rel=0.5)
    # Ten runs of 10 ms, two at a time.
    assert report.alone_s == pytest.approx(0.05, rel=0.5)
    assert report.wall_s < wall


def test_nothing_ran() -> None:
    report = Timings().report()
    assert (report.images, report.alone_s, report.share) == (0, 0.0, 0.0)


def test_an_abandoned_stream_counts_until_then() -> None:
    timings = Timings()
    answers = timings.clocked(iter(range(10)))
    next(answers)
    time.sleep(0.01)
    answers.close()  # type: ignore[attr-defined]
    assert timings.report().wall_s >= 0.01
