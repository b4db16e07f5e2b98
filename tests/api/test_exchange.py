from __future__ import annotations

import asyncio
import json
import logging
import uuid
from typing import Any

import pytest

from serve_app.api.log_ids import usable_log_id
from serve_app.config import Limits
from serve_app.errors import (
    FaceServeError,
    GalleryMismatchError,
    OverloadedError,
    UnavailableError,
)
from tests.api.harness import BUILD, INFER, REMOVE, Api, failure, result, wire
from tests.fakes import RED, picture

GOOD = {"image": wire(picture(RED)), "indexKey": "g", "visualize": False}


@pytest.fixture
async def api() -> Api:
    api = Api()
    result(await api.build((picture(RED), "red"), indexKey="g"))
    return api


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (GOOD, 200),
        ({"indexKey": "g"}, 422),
        ({**GOOD, "indexKey": "other"}, 404),
        ({**GOOD, "image": "!!!"}, 422),
    ],
)
async def test_the_requests_log_id_is_in_every_reply(
    api: Api, body: dict[str, Any], status: int
) -> None:
    response = await api.post(INFER, {**body, "logId": "client-log-7"})
    assert response.status_code == status
    assert response.json()["logId"] == "client-log-7"


async def test_without_one_it_is_a_fresh_uuid(api: Api) -> None:
    replies = [await api.post(INFER, GOOD) for _ in range(2)]
    log_ids = [reply.json()["logId"] for reply in replies]
    assert [uuid.UUID(log_id).version for log_id in log_ids] == [4, 4]
    assert log_ids[0] != log_ids[1]


@pytest.mark.parametrize("log_id", ["", "x" * 129, "a\nb", "a\0", "\x1b[31m", 5, None, {}, ["a"]])
async def test_a_log_id_that_would_spoil_a_log_is_replaced(api: Api, log_id: object) -> None:
    assert usable_log_id(log_id) is None
    response = await api.post(INFER, {**GOOD, "logId": log_id})
    assert response.status_code == 200
    uuid.UUID(response.json()["logId"])


async def test_deep_nesting_is_invalid(api: Api) -> None:
    body = b"[" * 100_000
    headers = {"Content-Type": "application/json"}
    response = await api.send("POST", INFER, content=body, headers=headers)
    assert "JSON decode error" in failure(response, 422)


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (OverloadedError("detector is over capacity"), 429),
        (UnavailableError("detector is unavailable"), 503),
        (GalleryMismatchError("gallery is of a, embeddings of b"), 409),
    ],
)
async def test_errors_of_the_stages_reach_the_client(
    api: Api, error: FaceServeError, status: int
) -> None:
    api.detector.failure = error
    assert failure(await api.post(INFER, GOOD), status) == str(error)


async def test_what_nobody_foresaw_is_logged_without_data(
    api: Api, caplog: pytest.LogCaptureFixture
) -> None:
    api.detector.failure = ValueError("embedding 0.123 of Anna in /srv/data")
    with caplog.at_level(logging.DEBUG, logger="serve_app"):
        response = await api.post(INFER, {**GOOD, "logId": "log-9"})
    assert failure(response, 500) == "Internal server error"
    assert response.json()["logId"] == "log-9"
    (record,) = [r for r in caplog.records if r.name.startswith("serve_app")]
    assert record.getMessage().startswith("request log-9 failed: ValueError at fakes.py:")
    assert record.exc_info is None


async def test_the_deadline_ends_the_work() -> None:
    api = Api(limits=Limits(request_timeout_s=0.05))
    result(await api.build((picture(RED), "red"), indexKey="g"))
    api.detector.gate = asyncio.Event()
    message = failure(await api.post(INFER, GOOD), 504)
    assert message.startswith("not done within 0.05 s")
    assert api.detector.cancelled == 1
    api.detector.gate = None
    result(await api.post(INFER, GOOD))


async def test_a_timeout_of_a_stages_own_is_not_the_deadline(api: Api) -> None:
    api.detector.failure = TimeoutError("inside")
    assert failure(await api.post(INFER, GOOD), 500) == "Internal server error"


async def test_no_field_of_a_refused_body_comes_back(api: Api) -> None:
    secret = "c2VjcmV0" * 50
    bodies: list[tuple[str, dict[str, Any]]] = [
        (BUILD, {"imageLabelPairs": [{"image": secret}]}),
        (BUILD, {"imageLabelPairs": [{"image": secret + "!", "label": secret}]}),
        (BUILD, {"imageLabelPairs": {secret: secret}}),
        (INFER, {"image": [secret]}),
        (INFER, {**GOOD, "indexKey": secret}),
        (INFER, {**GOOD, "recThreshold": secret}),
        (REMOVE, {"ids": [secret]}),
    ]
    for path, body in bodies:
        response = await api.post(path, body)
        assert response.status_code == 422
        assert "c2VjcmV0" not in response.text
        assert json.loads(response.text)["errorMsg"]
