from __future__ import annotations

import asyncio
import base64
from typing import Any

import pytest

from serve_app.config import Limits, PipelineConfig
from serve_app.errors import FaceServeError, OverloadedError, UnavailableError
from serve_app.service import IMAGES_IN_FLIGHT
from tests.api.harness import BATCH, INFER, Api, failure, result, wire
from tests.fakes import BLACK, BLUE, GREEN, RED, FakeFetcher, picture

NO_FACE, JUNK = picture(BLACK), b"junk"


@pytest.fixture
async def api() -> Api:
    return await with_gallery(Api())


async def with_gallery(api: Api) -> Api:
    result(await api.build((picture(RED), "red"), (picture(GREEN), "green"), indexKey="g"))
    api.detector.calls = api.detector.most_under_way = 0
    return api


async def batch(api: Api, *images: str, **fields: Any) -> list[dict[str, Any]]:
    body = {"images": list(images), "indexKey": "g", **fields}
    results: list[dict[str, Any]] = result(await api.post(BATCH, body))["results"]
    return results


async def test_each_result_is_what_infer_answers(api: Api) -> None:
    images = [wire(picture(RED)), wire(picture(GREEN, BLACK, BLUE)), wire(NO_FACE)]
    fields = {"topk": 2, "recThreshold": -1, "detThreshold": 0.5, "visualize": True}
    expected = [
        result(await api.post(INFER, {"image": image, "indexKey": "g", **fields}))
        for image in images
    ]
    assert await batch(api, *images, **fields) == expected


async def test_nothing_is_drawn_unless_it_is_asked_for(api: Api) -> None:
    for fields in ({}, {"visualize": False}, {"visualize": None}):
        (answer,) = await batch(api, wire(picture(RED)), **fields)
        assert set(answer) == {"faces"}
    (answer,) = await batch(api, wire(picture(RED)), visualize=True)
    assert base64.b64decode(answer["image"]).startswith(b"\xff\xd8")


async def test_a_bad_image_fails_alone_as_it_would_in_infer() -> None:
    api = await with_gallery(Api(limits=Limits(image_bytes=1000)))
    images = [wire(JUNK), wire(picture(RED)), "!", "http://a.example/gone", wire(bytes(1001))]
    answers = await batch(api, *images, visualize=True)
    assert set(answers[1]) == {"faces", "image"}
    for position in (0, 2, 3, 4):
        response = await api.post(INFER, {"image": images[position], "indexKey": "g"})
        code, message = response.json()["errorCode"], response.json()["errorMsg"]
        assert answers[position] == {"error": {"errorCode": code, "errorMsg": message}}


async def test_all_bad_images_are_no_failure_of_the_request(api: Api) -> None:
    answers = await batch(api, wire(JUNK), "!")
    assert [answer["error"]["errorCode"] for answer in answers] == [422, 422]


@pytest.mark.parametrize(("key", "status"), [("nope", 404), (None, 404), ("..", 422)])
async def test_a_gallery_that_is_not_there_is_a_failure_of_all(
    api: Api, key: str | None, status: int
) -> None:
    body = {"images": [wire(picture(RED)), wire(NO_FACE)], "indexKey": key}
    failure(await api.post(BATCH, body), status)


async def test_the_default_gallery() -> None:
    api = Api(PipelineConfig(index="house"))
    result(await api.build((picture(RED), "red"), indexKey="house"))
    (answer,) = await batch(api, wire(picture(RED)), indexKey=None)
    assert answer["faces"][0]["recResults"][0]["label"] == "red"


async def test_few_images_are_under_way_at_once(api: Api) -> None:
    api.detector.gate = asyncio.Event()
    work = asyncio.create_task(batch(api, *[wire(picture(RED))] * 64))
    await asyncio.sleep(0.1)
    assert api.detector.calls == IMAGES_IN_FLIGHT
    api.detector.gate.set()
    assert len(await work) == 64
    assert api.detector.most_under_way == IMAGES_IN_FLIGHT


class Failing:
    """Fails some calls of a detector and passes the others on."""

    def __init__(self, api: Api, errors: list[FaceServeError | None]) -> None:
        self._detect = api.detector.detect
        self._errors = errors

    async def __call__(self, image: bytes, threshold: float) -> Any:
        if error := self._errors.pop(0):
            raise error
        return await self._detect(image, threshold)


@pytest.mark.parametrize(
    ("error", "code"),
    [(OverloadedError("full"), 429), (UnavailableError("down"), 503), (FaceServeError("x"), 500)],
)
async def test_those_that_got_through_are_answered_when_others_did_not(
    api: Api, error: FaceServeError, code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(api.detector, "detect", Failing(api, [None, error, None]))
    answers = await batch(api, *[wire(picture(RED))] * 3)
    assert [*map(list, answers)] == [["faces"], ["error"], ["faces"]]
    message = "Internal server error" if code == 500 else str(error)
    assert answers[1]["error"] == {"errorCode": code, "errorMsg": message}


async def test_if_none_gets_through_the_client_is_told_to_wait(api: Api) -> None:
    api.detector.failure = OverloadedError("full")
    body = {"images": [wire(picture(RED))] * 3, "indexKey": "g"}
    response = await api.post(BATCH, body)
    assert failure(response, 429) == "full"
    assert response.headers["retry-after"]


async def test_what_nobody_foresaw_ends_the_request(api: Api) -> None:
    api.detector.failure = ValueError("secret")
    body = {"images": [wire(picture(RED))] * 3, "indexKey": "g"}
    assert failure(await api.post(BATCH, body), 500) == "Internal server error"


async def test_fetched_images_are_bounded_together() -> None:
    url = "http://a.example/b.png"
    limits = Limits(body_bytes=2500)
    api = await with_gallery(Api(limits=limits, fetcher=FakeFetcher({url: bytes(1000)})))
    assert len(await batch(api, url, url)) == 2
    message = failure(await api.post(BATCH, {"images": [url] * 3, "indexKey": "g"}), 413)
    assert "together" in message


async def test_an_eventual_search_says_of_each_image_that_it_is_stale(api: Api) -> None:
    api.index.down = True
    images = [wire(picture(RED)), wire(JUNK)]
    answers = await batch(api, *images, consistency="eventual")
    assert answers[0]["stale"] is True
    assert "error" in answers[1]
    (answer,) = await batch(api, wire(NO_FACE), consistency="eventual")
    assert answer == {"faces": [], "stale": True}
    body = {"images": images[:1], "indexKey": "g"}
    assert "unavailable" in failure(await api.post(BATCH, body), 503)


async def test_the_deadline_is_one_of_all_images() -> None:
    api = await with_gallery(Api(limits=Limits(request_timeout_s=0.5)))
    api.detector.gate = asyncio.Event()
    body = {"images": [wire(picture(RED))] * 20, "indexKey": "g"}
    assert "not done within" in failure(await api.post(BATCH, body), 504)
    assert api.detector.cancelled == IMAGES_IN_FLIGHT
