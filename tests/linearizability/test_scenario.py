"""The scenario in real threads: on a right gallery, through failing calls, on wrong ones."""

from __future__ import annotations

import random
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from .checker import Outcome, check, require_linearizable
from .history import History, Operation, Recorder
from .memory import FaultyGallery, ForgetfulGallery, MemoryGallery, StaleGallery, TwiceGallery
from .models import GalleryModel, UnbuiltGalleryModel
from .scenario import Mix, Refused, Unknown, run


class Slow(MemoryGallery):
    """Time passes before and after each search, so that calls overlap."""

    def search(self, label: str | None) -> set[int]:
        time.sleep(0.0005)
        found = super().search(label)
        time.sleep(0.0005)
        return found


class Flaky:
    """A client whose calls are refused, done without an answer, or neither done nor answered."""

    def __init__(self, gallery: MemoryGallery, seed: int) -> None:
        self._gallery = gallery
        self._chance = random.Random(seed)

    def add(self, labels: Sequence[str]) -> tuple[list[int], int]:
        self._before()
        answer = self._gallery.add(labels)
        self._after()
        return answer

    def remove(self, ids: Sequence[int]) -> tuple[list[int], int]:
        self._before()
        answer = self._gallery.remove(ids)
        self._after()
        return answer

    def search(self, label: str | None) -> set[int]:
        return self._gallery.search(label)

    def _before(self) -> None:
        fate = self._chance.random()
        if fate < 0.1:
            raise Refused
        if fate < 0.15:
            raise Unknown

    def _after(self) -> None:
        if self._chance.random() < 0.05:
            raise Unknown


def test_a_right_gallery() -> None:
    gallery = Slow()
    history = run(lambda number: gallery, seed=1)
    assert len(history.operations) == 8 * 60 + 5
    assert {operation.kind for operation in history.operations} == {"add", "remove", "search"}
    overlapping = sum(
        first.returned is not None and first.returned > second.invoked
        for first, second in zip(history.operations, history.operations[1:], strict=False)
    )
    assert overlapping > 100
    require_linearizable(history, GalleryModel)


def test_calls_that_fail() -> None:
    gallery = Slow()
    history = run(lambda number: Flaky(gallery, number), seed=2)
    assert sum(not operation.known for operation in history.operations) > 5
    assert len(history.operations) < 8 * 60  # what was refused is left out
    require_linearizable(history, GalleryModel)


def test_a_gallery_that_comes_and_goes() -> None:
    gallery = Slow(built=False)
    history = run(lambda number: gallery, seed=3, mix=Mix(build=3, drop=1))
    assert {"build", "drop"} <= {operation.kind for operation in history.operations}
    assert "absent" in {operation.result for operation in history.operations}
    require_linearizable(history, UnbuiltGalleryModel)


@pytest.mark.parametrize("fault", [StaleGallery, ForgetfulGallery, TwiceGallery])
def test_wrong_galleries(fault: type[FaultyGallery]) -> None:
    gallery = fault(random.Random(4))
    (verdict,) = check(run(lambda number: gallery, seed=4), GalleryModel)
    assert verdict.outcome is Outcome.VIOLATION


def test_several_galleries_make_one_history() -> None:
    parts = []
    for name in ("left", "right"):
        gallery = MemoryGallery()
        made = run(lambda number, held=gallery: held, operations=10, gallery=name)  # type: ignore[misc]
        parts.append(made.operations)
    verdicts = require_linearizable(History.of(*parts), GalleryModel)
    assert [verdict.gallery for verdict in verdicts] == ["left", "right"]


def test_time_ends_it() -> None:
    began = time.monotonic()
    run(lambda number: Slow(), clients=2, operations=10**9, seconds=0.2)
    assert time.monotonic() - began < 5


def test_a_client_that_breaks_ends_it() -> None:
    class Broken(MemoryGallery):
        def search(self, label: str | None) -> set[int]:
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        run(lambda number: Broken(), clients=3)

    def make(number: int) -> MemoryGallery:
        if number == 2:
            raise ConnectionError
        return MemoryGallery()

    with pytest.raises(ConnectionError):
        run(make, clients=3)


def test_history_as_a_file(tmp_path: Path) -> None:
    recorder = Recorder()
    recorder.complete(recorder.call(0, "staff", "add", ["a", "\udcff"]), ([0, 1], 2))
    recorder.call(1, "staff", "remove", (0,))
    recorder.forget(recorder.call(1, "staff", "remove", (1,)))
    history = recorder.history()
    first, second = history.operations
    assert (first.argument, first.result) == (("a", "\udcff"), ((0, 1), 2))
    assert first.known
    assert (second.known, second.result) == (False, None)
    assert isinstance(first, Operation)
    history.dump(tmp_path / "history.json")
    assert History.load(tmp_path / "history.json") == history
    (tmp_path / "history.json").write_text('{"format": 9, "operations": []}')
    with pytest.raises(ValueError, match=r"history\.json is of format 9"):
        History.load(tmp_path / "history.json")
