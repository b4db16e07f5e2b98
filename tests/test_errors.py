"""Errors cross processes and become HTTP answers: each has its own code and survives pickle."""

from __future__ import annotations

import inspect
import pickle
import re

import pytest

from serve_app import errors
from serve_app.errors import FaceServeError, OverloadedError

CLASSES = [
    value
    for _, value in inspect.getmembers(errors, inspect.isclass)
    if issubclass(value, FaceServeError)
]


def test_every_class_has_a_code_of_its_own() -> None:
    codes = [error.code for error in CLASSES]
    assert len(CLASSES) > 10
    assert sorted(codes) == sorted(set(codes))
    assert [code for code in codes if not re.fullmatch(r"[a-z]+(_[a-z]+)*", code)] == []


@pytest.mark.parametrize("error", CLASSES)
@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
def test_survives_pickle(error: type[FaceServeError], protocol: int) -> None:
    copy = pickle.loads(pickle.dumps(error("gallery 甲 is unknown: build it first"), protocol))
    assert type(copy) is error
    assert str(copy) == "gallery 甲 is unknown: build it first"
    assert copy.code == error.code


@pytest.mark.parametrize("error", CLASSES)
def test_takes_one_message_and_no_more(error: type[FaceServeError]) -> None:
    with pytest.raises(TypeError):
        error("a message", "another")  # type: ignore[call-arg]


def test_an_unforeseen_error_says_nothing_of_the_machine() -> None:
    assert str(FaceServeError()) == "internal error"
    assert FaceServeError.code == "internal"


@pytest.mark.parametrize(("seconds", "told"), [(0.2, 1), (1.5, 2), (3600, 60)])
def test_an_overload_says_when_it_is_over_also_in_another_process(
    seconds: float, told: int
) -> None:
    error = OverloadedError.after("too many requests are waiting", seconds)
    copy = pickle.loads(pickle.dumps(error))
    assert copy.retry_after_s == error.retry_after_s == min(seconds, 60)
    assert str(copy) == f"too many requests are waiting: try again in {told} s"
    assert OverloadedError("full").retry_after_s == 1
