from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from serve_app.api.forms.image_form import is_image
from tests.api.harness import ADD, BATCH, BUILD, INFER, REMOVE, Api, failure, result
from tests.fakes import GREEN, RED, picture

PNG = {"Content-Type": "image/png"}


@pytest.fixture
async def api() -> Api:
    api = Api()
    result(await api.build((picture(RED), "red"), (picture(GREEN), "green"), indexKey="g"))
    return api


async def infer(api: Api, query: str, image: bytes | None = None) -> httpx.Response:
    content = picture(RED) if image is None else image
    return await api.send("POST", f"{INFER}?{query}", content=content, headers=PNG)


def problem(response: httpx.Response) -> dict[str, Any]:
    (told,) = json.loads(failure(response, 422))
    return dict(told)


@pytest.mark.parametrize("kind", ["image/jpeg", "image/*", "image/x-anything"])
def test_content_types_that_are_images(kind: str) -> None:
    assert is_image(kind)


async def test_all_else_is_in_the_query(api: Api) -> None:
    query = "indexKey=g&topk=1&recThreshold=-1&detThreshold=0.5&visualize=false&logId=seven"
    response = await infer(api, query)
    (face,) = result(response)["faces"]
    assert [r["label"] for r in face["recResults"]] == ["red"]
    assert "image" not in result(response)
    assert response.json()["logId"] == "seven"
    assert "image" in result(await infer(api, "indexKey=g"))
    assert result(await infer(api, "indexKey=g&detThreshold=1"))["faces"] == []


async def test_the_content_decides_what_it_is_not_the_content_type(api: Api) -> None:
    headers = {"Content-Type": "image/gif"}
    path = f"{INFER}?indexKey=g"
    result(await api.send("POST", path, content=picture(RED), headers=headers))
    assert "not an image" in failure(await infer(api, "indexKey=g", b"http://a.example/b"), 422)


async def test_an_image_in_the_query_is_none(api: Api) -> None:
    assert len(result(await infer(api, "indexKey=g&image=!!!"))["faces"]) == 1


@pytest.mark.parametrize(
    ("query", "place"),
    [
        ("topk=many", "query.topk"),
        ("topk=1001", "query.topk"),
        ("indexKey=..", "query.indexKey"),
        ("visualize=perhaps", "query.visualize"),
        ("consistency=weak", "query.consistency"),
        ("indexKey=%FF", "query"),
    ],
)
async def test_what_is_wrong_with_the_query_is_told_with_its_place(
    api: Api, query: str, place: str
) -> None:
    response = await infer(api, f"{query}&logId=seven")
    assert problem(response)["loc"] == place
    if place != "query":
        assert response.json()["logId"] == "seven"


async def test_an_empty_body_is_a_missing_one(api: Api) -> None:
    told = problem(await infer(api, "indexKey=g", b""))
    assert told == {"type": "missing", "loc": "body", "msg": "Field required"}


@pytest.mark.parametrize("path", [BUILD, ADD, REMOVE, BATCH])
async def test_an_operation_on_several_images_takes_no_bare_one(api: Api, path: str) -> None:
    response = await api.send("POST", f"{path}?indexKey=g", content=picture(RED), headers=PNG)
    assert problem(response)["type"] == "model_attributes_type"
