from __future__ import annotations

import json
import re
from typing import Any

import pytest

from tests.api.forms.writing import BOUNDARY, CONTENT_TYPE, field, file, multipart
from tests.api.harness import ADD, BUILD, INFER, REMOVE, Api, failure, result, wire, wire_pairs
from tests.fakes import BLACK, BLUE, GREEN, RED, FakeFetcher, picture

PAIRS = [(picture(RED), "red"), (picture(GREEN), "green")]
MORE = {"imageLabelPairs": wire_pairs((picture(BLUE), "blue")), "indexKey": "g"}
NEW = {"imageLabelPairs": wire_pairs((picture(BLUE), "blue"))}
NAMED = {"Idempotency-Key": "8e03978e-40d5-43dd-bc93-6894a57f9324"}
GALLERY = "/v1/galleries/g"

CHANGES: list[tuple[str, str, dict[str, Any] | None]] = [
    ("POST", BUILD, NEW),
    ("POST", BUILD, {**NEW, "indexKey": "h"}),
    ("POST", ADD, MORE),
    ("POST", REMOVE, {"ids": [0], "indexKey": "g"}),
    ("DELETE", GALLERY, None),
    ("DELETE", f"{GALLERY}/labels/red", None),
    ("POST", f"{GALLERY}/optimize", None),
]


@pytest.fixture
async def api() -> Api:
    api = Api()
    result(await api.build(*PAIRS, indexKey="g"))
    api.extractor.calls.clear()
    return api


async def size(api: Api, key: str = "g") -> int:
    body = {"ids": [], "indexKey": key, "returnIdMap": False}
    count: int = result(await api.post(REMOVE, body))["imageCount"]
    return count


def told(message: str) -> tuple[str, str]:
    (problem,) = json.loads(message)
    return problem["loc"], problem["msg"]


@pytest.mark.parametrize(("method", "path", "body"), CHANGES)
async def test_a_change_that_is_sent_again_answers_the_same_and_is_done_once(
    api: Api, method: str, path: str, body: dict[str, Any] | None
) -> None:
    first = await api.send(method, path, json=body, headers=NAMED)
    status = 202 if "optimize" in path else 200
    told_first = result(first, status)
    galleries = await api.index.list("", 10)
    embedded = list(api.extractor.calls)
    second = await api.send(method, path, json=body, headers=NAMED)
    if path == REMOVE:
        told_first["idMap"] = result(second)["idMap"]  # read anew; the same here
    assert result(second, status) == told_first
    assert await api.index.list("", 10) == galleries
    assert api.extractor.calls == embedded
    assert len(api.index.optimized) == ("optimize" in path)


@pytest.mark.parametrize("value", ["a", "x" * 255, "a b", '"quoted"', "~!@#$%^&*()"])
async def test_values_that_name_a_change(api: Api, value: str) -> None:
    for _ in range(2):
        result(await api.post(ADD, MORE, {"Idempotency-Key": value}))
    assert await size(api) == 3


@pytest.mark.parametrize("value", [b"", b"x" * 256, b"a\tb", b"\xc3\xbc", b"\xff", b"a\x7f"])
@pytest.mark.parametrize(("method", "path", "body"), CHANGES)
async def test_values_that_name_nothing(
    api: Api, method: str, path: str, body: dict[str, Any] | None, value: bytes
) -> None:
    before = await api.index.list("", 10)
    headers = [(b"idempotency-key", value)]
    response = await api.send(method, path, json=body, headers=headers)
    place, text = told(failure(response, 422))
    assert place == "header.Idempotency-Key"
    assert "1 to 255 printable ASCII" in text
    assert "xxx" not in text
    assert await api.index.list("", 10) == before
    assert api.extractor.calls == []


async def test_a_header_that_is_there_twice(api: Api) -> None:
    headers = [("Idempotency-Key", "a"), ("Idempotency-Key", "a")]
    response = await api.send("POST", ADD, json=MORE, headers=headers)
    assert told(failure(response, 422))[1] == "Header should be there once"
    assert await size(api) == 2


async def test_searches_and_listings_take_no_notice_of_it(api: Api) -> None:
    bad = {"Idempotency-Key": ""}
    body = {"image": wire(picture(RED)), "indexKey": "g", "visualize": False}
    result(await api.post(INFER, body, bad))
    for path in ("/v1/galleries", GALLERY, f"{GALLERY}/templates"):
        result(await api.send("GET", path, headers=bad))


async def test_the_same_key_for_another_body_is_refused(api: Api) -> None:
    result(await api.post(ADD, MORE, NAMED))
    other = {**MORE, "imageLabelPairs": wire_pairs((picture(BLUE), "other"))}
    message = failure(await api.post(ADD, other, NAMED), 422)
    assert "Idempotency-Key was used for another request" in message
    assert await size(api) == 3


async def test_the_same_key_for_another_label_is_refused(api: Api) -> None:
    result(await api.send("DELETE", f"{GALLERY}/labels/red", headers=NAMED))
    response = await api.send("DELETE", f"{GALLERY}/labels/green", headers=NAMED)
    assert "another request" in failure(response, 422)
    assert await size(api) == 1


async def test_a_key_is_one_of_its_route_and_gallery(api: Api) -> None:
    result(await api.build(*PAIRS, indexKey="h"))
    for key in ("g", "h"):
        assert result(await api.post(ADD, {**MORE, "indexKey": key}, NAMED))["imageCount"] == 3
        path = f"/v1/galleries/{key}"
        removed = await api.send("DELETE", f"{path}/labels/blue", headers=NAMED)
        assert result(removed)["ids"] == [2]
        result(await api.send("POST", f"{path}/optimize", headers=NAMED), 202)
        assert result(await api.send("DELETE", path, headers=NAMED)) == {"imageCount": 2}


async def test_a_build_without_a_key_answers_the_first_ones(api: Api) -> None:
    answers = [result(await api.post(BUILD, NEW, NAMED)) for _ in range(2)]
    assert answers[0] == answers[1]
    assert len(await api.index.list("", 10)) == 2


async def test_the_rejected_are_the_same_on_a_retry_also_if_images_are_gone() -> None:
    url = "http://photos.example/red.png"
    photos = {url: picture(RED)}
    api = Api(fetcher=FakeFetcher(photos))  # type: ignore[arg-type]
    pairs = [
        {"image": url, "label": "red"},
        *wire_pairs((picture(BLACK), "nobody")),
        {"image": "!", "label": "junk"},
    ]
    body = {"imageLabelPairs": pairs, "indexKey": "g", "onError": "skip"}
    first = result(await api.post(BUILD, body, NAMED))
    assert [r["position"] for r in first["rejected"]] == [1, 2]
    photos.clear()
    assert result(await api.post(BUILD, body, NAMED)) == first


async def test_without_the_header_all_is_done_each_time(api: Api) -> None:
    for expected in (3, 4):
        assert result(await api.post(ADD, MORE))["imageCount"] == expected
    assert api.index.asked == []


async def test_what_names_a_change_holds_nothing_of_it(api: Api) -> None:
    secret = {"Idempotency-Key": "anna@example.org"}
    result(await api.post(ADD, MORE, secret))
    (name,) = api.index.asked
    assert re.fullmatch("[0-9a-f]{64}", name)


async def test_a_body_that_is_invalid_keeps_no_answer(api: Api) -> None:
    failure(await api.post(ADD, {**MORE, "imageLabelPairs": []}, NAMED), 422)
    assert result(await api.post(ADD, MORE, NAMED))["imageCount"] == 3


async def test_a_multipart_body_is_the_same_with_another_boundary(api: Api) -> None:
    def sent(boundary: str, label: bytes) -> tuple[bytes, dict[str, str]]:
        body = multipart(
            file("image", picture(BLUE)), field("label", label), field("indexKey", b"g")
        )
        content_type = CONTENT_TYPE.replace(BOUNDARY, boundary)
        return body.replace(BOUNDARY.encode(), boundary.encode()), {
            **NAMED,
            "Content-Type": content_type,
        }

    for boundary in ("one", "two"):
        content, headers = sent(boundary, b"blue")
        response = await api.send("POST", ADD, content=content, headers=headers)
        assert result(response)["imageCount"] == 3
    content, headers = sent("one", b"other")
    response = await api.send("POST", ADD, content=content, headers=headers)
    assert "another request" in failure(response, 422)
    assert await size(api) == 3
