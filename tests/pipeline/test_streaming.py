from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from serve_app.pipeline.streaming import stream


def squares(part: list[int]) -> list[int]:
    return [number * number for number in part]


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 50), st.integers(1, 4), st.integers(1, 9))
def test_answers_in_order(count: int, workers: int, chunk: int) -> None:
    found = list(stream(range(count), squares, workers=workers, chunk=chunk))
    assert found == [number * number for number in range(count)]


def test_order_holds_where_the_first_takes_longest() -> None:
    def slow_first(part: list[int]) -> list[int]:
        if 0 in part:
            time.sleep(0.2)
        return part

    assert list(stream(range(9), slow_first, workers=3, chunk=1)) == list(range(9))


@pytest.mark.parametrize("workers", [1, 2, 4])
def test_reads_only_as_far_ahead_as_the_workers_need(workers: int) -> None:
    read: list[int] = []

    def endless() -> Iterator[int]:
        number = 0
        while True:
            read.append(number)
            yield number
            number += 1

    answers = stream(endless(), squares, workers=workers, chunk=3)
    for _ in range(100):
        next(answers)
    assert len(read) <= 100 + 3 * (2 * workers + 2)
    answers.close()  # type: ignore[attr-defined]
    for thread in threading.enumerate():
        if thread.name.startswith("predict"):
            thread.join(5)
            assert not thread.is_alive()


@pytest.mark.parametrize("workers", [1, 3])
def test_an_error_comes_when_its_turn_has_come(workers: int) -> None:
    def fails_at_seven(part: list[int]) -> list[int]:
        if 7 in part:
            raise KeyError(7)
        return part

    answers = stream(range(100), fails_at_seven, workers=workers, chunk=1)
    assert [next(answers) for _ in range(7)] == list(range(7))
    with pytest.raises(KeyError):
        next(answers)


@pytest.mark.parametrize("workers", [1, 3])
@pytest.mark.parametrize("chunk", [1, 4])
def test_what_came_before_a_broken_source_is_answered(workers: int, chunk: int) -> None:
    def broken() -> Iterator[int]:
        yield from range(6)
        raise LookupError("file 7")

    answers = stream(broken(), squares, workers=workers, chunk=chunk)
    assert [next(answers) for _ in range(6)] == squares(list(range(6)))
    with pytest.raises(LookupError, match="file 7"):
        next(answers)


def test_workers_work_at_the_same_time() -> None:
    meeting = threading.Barrier(3, timeout=20)

    def meet(part: list[int]) -> list[int]:
        meeting.wait()
        return part

    assert list(stream(range(6), meet, workers=3, chunk=1)) == list(range(6))


def test_who_stops_reading_waits_for_nobody() -> None:
    """The garbage collector may be who stops, in any thread, with any lock held."""
    lock = threading.Lock()

    def guarded(part: list[int]) -> list[int]:
        if part == [0]:
            return part
        with lock:
            return part

    def read_one_and_stop() -> None:
        with lock:
            answers = stream(range(50), guarded, workers=2, chunk=1)
            next(answers)
            del answers

    reader = threading.Thread(target=read_one_and_stop, daemon=True)
    reader.start()
    reader.join(30)
    assert not reader.is_alive()
