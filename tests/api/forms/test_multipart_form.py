from __future__ import annotations

import asyncio
import contextlib
import itertools
import time

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from serve_app.api.forms.multipart_form import HEADER_BYTES, HEADERS, Part, split, without_boundary
from serve_app.errors import InvalidRequestError, TooLargeError
from tests.api.forms.writing import BOUNDARY, CONTENT_TYPE, field, file, multipart

MOST = 10


def parts_of(body: bytes, content_type: str = CONTENT_TYPE, most: int = MOST) -> list[Part]:
    return asyncio.run(split(body, content_type, most))


@given(st.lists(st.tuples(st.binary(max_size=300), st.booleans()), min_size=1, max_size=MOST))
def test_contents_come_back_as_they_were(contents: list[tuple[bytes, bool]]) -> None:
    assume(not any(BOUNDARY.encode() in content for content, _ in contents))
    written = [
        file("a", content) if is_file else field("b", content) for content, is_file in contents
    ]
    expected = [Part("a" if is_file else "b", content, is_file) for content, is_file in contents]
    assert parts_of(multipart(*written)) == expected


@given(st.binary(max_size=300))
def test_any_bytes_are_parts_or_refused(body: bytes) -> None:
    refused_or_read(body)


@given(st.data())
def test_any_change_of_a_good_body_is_parts_or_refused(data: st.DataObject) -> None:
    body = multipart(file("image", b"\r\n--x\r\n" * 3), field("label", b"anna"), field("c", b""))
    start = data.draw(st.integers(0, len(body)))
    end = data.draw(st.integers(start, len(body)))
    refused_or_read(body[:start] + data.draw(st.binary(max_size=30)) + body[end:])


def refused_or_read(body: bytes) -> None:
    with contextlib.suppress(InvalidRequestError, TooLargeError):
        assert len(parts_of(body)) <= MOST


@given(st.text(max_size=100))
@example("multipart/form-data; boundary=" + '"' * 100)
@example("multipart/form-data; boundary=" + "\\" * 50_000)
def test_any_content_type_is_read_in_short_time(content_type: str) -> None:
    started = time.monotonic()
    with contextlib.suppress(InvalidRequestError):
        parts_of(multipart(field("a", b"")), content_type)
    assert time.monotonic() - started < 1


@pytest.mark.parametrize(
    "content_type",
    [
        "multipart/form-data",
        "multipart/form-data; boundary=",
        'multipart/form-data; boundary=""',
        "multipart/form-data; charset=utf-8",
    ],
)
def test_a_boundary_that_is_missing(content_type: str) -> None:
    with pytest.raises(InvalidRequestError, match="should have a boundary"):
        parts_of(multipart(field("a", b"")), content_type)


@pytest.mark.parametrize(
    "content_type",
    [
        f"multipart/form-data; boundary={BOUNDARY}",
        f'Multipart/Form-Data; a=b; Boundary="{BOUNDARY}"',
    ],
)
def test_boundaries_that_are_there(content_type: str) -> None:
    assert parts_of(multipart(field("a", b"1")), content_type) == [Part("a", b"1", False)]


@pytest.mark.parametrize(
    "body",
    [
        b"junk",
        multipart(field("a", b"1"))[:-4],
        multipart(field("a", b"1"))[: len(BOUNDARY) + 10],
        multipart(field("a", b"1")).replace(b"\r\n", b"\n"),
        multipart(field("a", b"1")).replace(b"form-data", b"attachment"),
        multipart(field("a", b"1")).replace(b"; name=", b"; nome="),
        multipart(field("a", b"1")).replace(b"Content-Disposition", b"Content Disposition"),
        multipart(b"Content-Length: 5\r\n" + field("a", b"1")),
        multipart(b"X\xff: \xff\r\n" + field("a", b"1")),
        f"--{BOUNDARY}\r\n\r\n--{BOUNDARY}--\r\n".encode(),
    ],
)
def test_bodies_that_are_damaged(body: bytes) -> None:
    with pytest.raises(InvalidRequestError, match="missing or damaged"):
        parts_of(body)


def test_the_last_part_that_is_allowed() -> None:
    assert len(parts_of(multipart(*[field("a", b"1")] * MOST))) == MOST
    with pytest.raises(TooLargeError, match="more than 10 parts"):
        parts_of(multipart(*[field("a", b"1")] * (MOST + 1)))


def test_thousands_of_parts_are_refused_at_the_limit() -> None:
    body = multipart(*[field("a", b"1")] * 500_000)
    started = time.monotonic()
    with pytest.raises(TooLargeError):
        parts_of(body)
    assert time.monotonic() - started < 1


def test_the_headers_of_a_part_are_bounded() -> None:
    many = b"".join(b"X-%d: y\r\n" % number for number in range(HEADERS))
    long = b"X: " + b"y" * HEADER_BYTES + b"\r\n"
    endless = f"--{BOUNDARY}\r\nX: ".encode() + b"y" * 10_000_000
    for body in (multipart(many + field("a", b"")), multipart(long + field("a", b"")), endless):
        with pytest.raises(TooLargeError, match="8 headers or a header of more than 4096 bytes"):
            parts_of(body)


def test_a_nested_body_is_a_content_like_any_other() -> None:
    inner = multipart(file("image", b"x")).replace(BOUNDARY.encode(), b"inner")
    nested = file("image", inner, kind="multipart/mixed; boundary=inner")
    assert parts_of(multipart(nested)) == [Part("image", inner, True)]


@pytest.mark.parametrize(
    ("written", "is_file"),
    [
        (file("a", b"x"), True),
        (file("a", b"x", name=""), True),
        (file("a", b"x", name=None), True),
        (file("a", b"x", name=None, kind="text/plain; charset=utf-8"), False),
        (file("a", b"x", name="a.txt", kind="text/plain"), True),
        (field("a", b"x"), False),
    ],
)
def test_what_is_a_file(written: bytes, is_file: bool) -> None:
    (part,) = parts_of(multipart(written))
    assert part.is_file is is_file


async def test_others_get_their_turn_while_a_large_body_is_read() -> None:
    body = multipart(*[file("image", bytes(2_000_000))] * 8)
    work = asyncio.create_task(split(body, CONTENT_TYPE, MOST))
    turns = 0
    while not work.done():
        await asyncio.sleep(0)
        turns += 1
    assert len(await work) == 8
    assert turns >= 8


def test_the_same_parts_with_another_boundary_are_the_same() -> None:
    bodies = []
    for boundary in ("one", "another-one"):
        body = multipart(file("image", b"x"), field("label", b"y"))
        body = body.replace(BOUNDARY.encode(), boundary.encode())
        bodies.append(without_boundary(body, f"multipart/form-data; boundary={boundary}"))
    other = multipart(file("image", b"x"), field("label", b"z"))
    bodies.append(without_boundary(other, CONTENT_TYPE))
    assert [a == b for a, b in itertools.combinations(bodies, 2)] == [True, False, False]
