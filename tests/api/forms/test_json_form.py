from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serve_app.api.forms.json_form import (
    MAX_JSON_VALUES,
    check_count,
    is_json,
    log_id_of,
    parse,
    parse_part,
)
from serve_app.api.schemas import InferRequest
from serve_app.errors import InvalidRequestError, TooLargeError
from tests.api.harness import REMOVE, Api, failure


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("application/json", True),
        ("application/a+json", True),
        ("", False),
        ("text/json", False),
        ("text/plain", False),
        ("application/msgpack", False),
    ],
)
def test_content_types_that_are_json(kind: str, expected: bool) -> None:
    assert is_json(kind) is expected


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"null", b"5", b'{"a": 1}', b"\xff"])
def test_bodies_without_a_log_id(body: bytes) -> None:
    assert log_id_of(body) is None


def test_a_log_id_in_a_body_that_is_wrong_otherwise() -> None:
    assert log_id_of(b'{"logId": "a", "image": 5}') == "a"


@pytest.mark.parametrize("part", [b"[],", b"1,", b"{},", b"[[[["])
async def test_a_body_of_a_million_values_is_refused_unread(part: bytes) -> None:
    body = b'{"ids": [' + part * (MAX_JSON_VALUES + 1) + b"1]}"
    headers = {"Content-Type": "application/json"}
    response = await Api().send("POST", REMOVE, content=body, headers=headers)
    assert "more than 1000000 values" in failure(response, 413)
    for read in (parse_part, lambda body: parse(InferRequest, body)):
        with pytest.raises(TooLargeError):
            read(body)


def test_the_last_value_that_is_allowed() -> None:
    padding = b" " * MAX_JSON_VALUES
    check_count(padding + b"," * MAX_JSON_VALUES)
    with pytest.raises(TooLargeError):
        check_count(padding + b"," * (MAX_JSON_VALUES + 1))


@given(st.binary())
def test_any_part_is_an_object_or_refused(part: bytes) -> None:
    with contextlib.suppress(InvalidRequestError):
        assert isinstance(parse_part(part), dict)


@pytest.mark.parametrize("part", [b"", b"[]", b"5", b"{", b"\xff", b"[" * 100_000, b"{} {}"])
def test_parts_that_are_no_object(part: bytes) -> None:
    with pytest.raises(InvalidRequestError, match=r"body\.request"):
        parse_part(part)
