"""Answers that come too late, and clients' errors in words of our own."""

from __future__ import annotations

import errno
import time

import pyarrow as pa
import pytest

from serve_app.errors import FetchError, InvalidRequestError, UnavailableError
from serve_app.jobs.inputs.answers import translated, within


def test_within() -> None:
    assert within(5, lambda: 3) == 3
    with pytest.raises(KeyError):
        within(5, lambda: dict[str, int]()["a"])
    with pytest.raises(TimeoutError):
        within(0.05, lambda: time.sleep(1))


@pytest.mark.parametrize(
    ("place", "error", "kind", "message"),
    [
        ("/a", OSError(errno.EIO, "Input/output error"), UnavailableError, "Input/output error"),
        ("/a", PermissionError("x"), InvalidRequestError, "/a may not be read by this user"),
        ("/a", IsADirectoryError("x"), InvalidRequestError, "/a is a directory: name a file"),
        ("s3://b/a", PermissionError("x"), UnavailableError, "s3://b/a may not be.*credentials"),
        ("s3://b/a", OSError(errno.ENAMETOOLONG, "x"), InvalidRequestError, "name is too long"),
        (
            "s3://b/a",
            TimeoutError(),
            UnavailableError,
            "it does not answer",
        ),
        ("s3://b/a", ValueError("10.1.2.3"), InvalidRequestError, "check how it is written$"),
        ("https://h/a?key=k", OSError("10.1.2.3"), UnavailableError, "^https://h/a can't be read"),
    ],
)
def test_errors(place: str, error: Exception, kind: type[Exception], message: str) -> None:
    with pytest.raises(kind, match=message), translated(place):
        raise error


@pytest.mark.parametrize("error", [FetchError("x"), ImportError("x"), pa.ArrowInvalid("x")])
def test_what_others_tell_passes(error: Exception) -> None:
    with pytest.raises(type(error), match="x"), translated("s3://b/a"):
        raise error
