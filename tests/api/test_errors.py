from __future__ import annotations

import inspect
import json
import time

import pytest
from pydantic import BaseModel, ValidationError

from serve_app import errors as ours
from serve_app.api.errors import (
    STATUS,
    failure_response,
    invalid_body,
    invalid_value,
    invalid_values,
)
from serve_app.api.gallery_schemas import GalleriesQuery
from serve_app.api.schemas import BuildRequest, InferRequest, RemoveRequest
from serve_app.errors import (
    ConfigError,
    FaceServeError,
    InvalidRequestError,
    OverloadedError,
    UnavailableError,
)

CLASSES = [
    value
    for _, value in inspect.getmembers(ours, inspect.isclass)
    if issubclass(value, FaceServeError)
]


def test_every_code_has_a_row_and_no_row_is_left_over() -> None:
    assert {error.code for error in CLASSES} == set(STATUS)


@pytest.mark.parametrize("error", CLASSES)
def test_every_error_has_its_envelope(error: type[FaceServeError]) -> None:
    response = failure_response(error("what to do"), "log-1")
    envelope = json.loads(bytes(response.body))
    assert list(envelope) == ["logId", "errorCode", "errorMsg"]
    assert envelope["logId"] == "log-1"
    assert envelope["errorCode"] == response.status_code == STATUS[error.code]
    assert envelope["errorMsg"] == (
        "Internal server error" if response.status_code == 500 else "what to do"
    )


def test_what_the_server_did_wrong_is_not_told() -> None:
    for error in (ConfigError("data_dir /secret is full"), FaceServeError("Traceback ...")):
        assert b"secret" not in bytes(failure_response(error, "x").body)
        assert b"Traceback" not in bytes(failure_response(error, "x").body)


def test_a_full_queue_says_when_to_come_back() -> None:
    for error, seconds in (
        (OverloadedError("full"), "1"),
        (OverloadedError.after("full", 0.02), "1"),
        (OverloadedError.after("full", 2.1), "3"),
        (UnavailableError("gone"), "1"),
    ):
        assert failure_response(error, "x").headers["retry-after"] == seconds
    assert "retry-after" not in failure_response(InvalidRequestError("bad"), "x").headers


def test_problems_outside_the_body_have_the_same_form() -> None:
    expected = [{"type": "value", "loc": "query.limit", "msg": "too many"}]
    assert json.loads(str(invalid_value("value", "query.limit", "too many"))) == expected
    with pytest.raises(ValidationError) as caught:
        GalleriesQuery.model_validate({"limit": "many", "after": ".."})
    problems = json.loads(str(invalid_values(caught.value, "query")))
    assert [problem["loc"] for problem in problems] == ["query.after", "query.limit"]
    assert all(set(problem) == {"type", "loc", "msg"} for problem in problems)


def problem(schema: type[BaseModel], body: bytes) -> FaceServeError:
    try:
        schema.model_validate_json(body)
    except ValidationError as error:
        return invalid_body(error, body)
    raise AssertionError("the body is valid")


@pytest.mark.parametrize(
    ("schema", "body", "expected"),
    [
        (BuildRequest, b"{}", ("missing", "body.imageLabelPairs", "Field required")),
        (
            BuildRequest,
            b'{"imageLabelPairs": "x"}',
            ("list_type", "body.imageLabelPairs", "Input should be a valid list"),
        ),
        (
            BuildRequest,
            b'{"imageLabelPairs": [{"image": "a"}]}',
            ("missing", "body.imageLabelPairs[0].label", "Field required"),
        ),
        (
            RemoveRequest,
            b'{"ids": [1, 1.5]}',
            (
                "int_from_float",
                "body.ids[1]",
                "Input should be a valid integer, got a number with a fractional part",
            ),
        ),
        (
            InferRequest,
            b"[]",
            (
                "model_attributes_type",
                "body",
                "Input should be a valid dictionary or object to extract fields from",
            ),
        ),
        (InferRequest, b"{not json", ("json_invalid", "body[1]", "JSON decode error")),
        (InferRequest, b'{"a": 1,\n "b": }', ("json_invalid", "body[15]", "JSON decode error")),
        (InferRequest, b'{"a": 1', ("json_invalid", "body[6]", "JSON decode error")),
    ],
)
def test_problems_of_a_body_have_paddlexs_form(
    schema: type[BaseModel], body: bytes, expected: tuple[str, str, str]
) -> None:
    (told,) = json.loads(str(problem(schema, body)))
    assert tuple(told.values()) == expected
    assert list(told) == ["type", "loc", "msg"]


def test_many_problems_are_counted_not_listed() -> None:
    body = json.dumps({"ids": ["secret"] * 1000}).encode()
    told = json.loads(str(problem(RemoveRequest, body)))
    assert len(told) == 21
    assert told[-1]["msg"] == "980 more problems of this kind"
    assert "secret" not in json.dumps(told)


def test_a_list_that_is_too_long_is_too_large() -> None:
    error = problem(RemoveRequest, json.dumps({"ids": [1] * 100_001}).encode())
    assert error.code == "too_large"
    assert str(error) == "body.ids is too long: send it in parts"


def test_a_body_of_line_breaks_costs_no_time() -> None:
    """Where its JSON breaks was once counted line by line: a second of the event loop for 8 MB."""
    body = b"\n" * 8_000_000 + b"x"
    with pytest.raises(ValidationError) as failure:
        InferRequest.model_validate_json(body)
    started = time.process_time()
    error = invalid_body(failure.value, body)
    assert time.process_time() - started < 0.1
    assert "JSON decode error" in str(error)
