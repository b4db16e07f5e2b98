from __future__ import annotations

import contextlib
import time
import tracemalloc
from typing import Any

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from serve_app.api.forms.msgpack_form import MAX_KEYS, is_msgpack, values
from serve_app.errors import InvalidRequestError, TooLargeError

LONGEST = 50
SIMPLE = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False)
    | st.text(max_size=20)
    | st.binary(max_size=20)
)
VALUES = st.recursive(
    SIMPLE,
    lambda inner: (
        st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=5), inner, max_size=5)
    ),
    max_leaves=20,
)


@pytest.mark.parametrize("kind", ["application/msgpack", "application/vnd.msgpack"])
def test_content_types_that_are_msgpack(kind: str) -> None:
    assert is_msgpack(kind)
    assert not is_msgpack(kind + "x")


@given(st.dictionaries(st.text(max_size=5), VALUES, max_size=5))
def test_an_object_comes_back_as_it_was(written: dict[str, Any]) -> None:
    assert values(msgpack.packb(written), LONGEST) == written


@given(st.binary(max_size=300))
def test_any_bytes_are_an_object_or_refused(body: bytes) -> None:
    with contextlib.suppress(InvalidRequestError, TooLargeError):
        assert isinstance(values(body, LONGEST), dict)


@given(st.dictionaries(st.text(max_size=5), VALUES, max_size=5), st.data())
def test_any_change_of_a_good_body_is_an_object_or_refused(
    written: dict[str, Any], data: st.DataObject
) -> None:
    body = msgpack.packb(written)
    start = data.draw(st.integers(0, len(body)))
    end = data.draw(st.integers(start, len(body)))
    changed = body[:start] + data.draw(st.binary(max_size=10)) + body[end:]
    with contextlib.suppress(InvalidRequestError, TooLargeError):
        assert isinstance(values(changed, LONGEST), dict)


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        (b"", "one whole msgpack object"),
        (b"\xc1", "one whole msgpack object"),
        (b"{}", "Nothing should follow"),
        (msgpack.packb({"a": 1})[:-1], "one whole msgpack object"),
        (msgpack.packb({"a": 1}) + b"\xc0", "Nothing should follow"),
        (msgpack.packb([1]), "valid dictionary or object"),
        (msgpack.packb(None), "valid dictionary or object"),
        (msgpack.packb({1: 2}), "one whole msgpack object"),
        (msgpack.packb({b"image": 2}), "Keys should be strings"),
        (msgpack.packb({"a": {b"b": 2}}), "Keys should be strings"),
        (b"\x81\x91\x01\x02", "one whole msgpack object"),
        (b"\x81\x80\x02", "one whole msgpack object"),
        (b"\x81\xa1\xff\x02", "one whole msgpack object"),
        (b"\x81\xa1a\xa2\xc3\x28", "one whole msgpack object"),
        (msgpack.packb({"a": msgpack.ExtType(5, b"x")}), "extension types"),
        (msgpack.packb({"a": msgpack.Timestamp(1, 2)}), "extension types"),
        (b"\x91" * 100_000, "one whole msgpack object"),
        (b"\x81\xa1a" * 100_000, "one whole msgpack object"),
        (msgpack.packb(dict.fromkeys(map(str, range(MAX_KEYS + 1)))), "one whole msgpack object"),
    ],
)
def test_bodies_that_are_no_object(body: bytes, problem: str) -> None:
    with pytest.raises(InvalidRequestError, match=problem):
        values(body, LONGEST)


@pytest.mark.parametrize("head", [b"\xdd", b"\xdf", b"\xc6", b"\xdb", b"\xc9"])
def test_a_huge_declared_size_costs_nothing(head: bytes) -> None:
    """Of a list, a map, bytes, text and an ext type; alone and in a large body."""
    for rest in (b"", bytes(10_000_000)):
        body = b"\x81\xa1a" + head + b"\xff\xff\xff\xff" + rest
        assert peak(body) < 100_000


def test_the_longest_list_that_is_read() -> None:
    assert values(msgpack.packb({"a": [1] * LONGEST}), LONGEST) == {"a": [1] * LONGEST}
    with pytest.raises(TooLargeError, match="a list of the body is longer than 50"):
        values(msgpack.packb({"a": [1] * (LONGEST + 1)}), LONGEST)


def test_what_is_nested_is_counted() -> None:
    thousand = b"\xdc\x03\xe8"
    body = b"\x81\xa1a" + thousand + (thousand + b"\x90" * 1000) * 1000
    started = time.monotonic()
    with pytest.raises(TooLargeError, match="more than 1000000 values"):
        values(body, 1000)
    assert time.monotonic() - started < 5


def test_open_lists_in_each_other_are_bounded() -> None:
    """Nothing is counted before a list ends: the parser's depth and the lists' length bound it."""
    level = b"\xdc\x03\xe8" + b"\xa2ab" * 999
    assert peak(b"\x81\xa1a" + level * 10_000, 1000) < 100_000_000


def peak(body: bytes, longest: int = LONGEST) -> int:
    """Bytes that a body that must be refused takes at most."""
    tracemalloc.start()
    try:
        with pytest.raises((InvalidRequestError, TooLargeError)):
            values(body, longest)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
