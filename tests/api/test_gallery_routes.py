from __future__ import annotations

import asyncio
import json
import uuid
from typing import Any

import pytest

from serve_app.config import Limits
from serve_app.errors import FaceServeError
from tests.api.harness import ADD, Api, failure, result, wire_pairs
from tests.fakes import BLUE, GREEN, RED, picture

LABELS = ["red", "a/b", "", "Zoë 王 100%?#&"]
PAIRS = [(picture(RED), label) for label in LABELS]
GALLERIES = "/v1/galleries"

ROUTES = [
    ("GET", ""),
    ("DELETE", ""),
    ("GET", "/templates"),
    ("DELETE", "/labels/red"),
    ("POST", "/optimize"),
]


@pytest.fixture
async def api() -> Api:
    """Galleries a, b and c; whatever a test sends, afterwards the service answers as before."""
    api = Api()
    for key in ("b", "c", "a"):
        result(await api.build(*PAIRS, indexKey=key, indexType="IVF4,SQ8", metricType="L2"))
    return api


async def get(api: Api, path: str) -> dict[str, Any]:
    return result(await api.send("GET", GALLERIES + path))


def places(message: str) -> list[str]:
    return [problem["loc"] for problem in json.loads(message)]


async def test_the_facts_of_galleries(api: Api) -> None:
    listed = await get(api, "?limit=1")
    facts = {
        "indexKey": "a",
        "indexType": "IVF4,SQ8",
        "metricType": "L2",
        "dimension": 3,
        "model": "fake@1",
        "imageCount": 4,
        "createdAt": "2023-11-14T22:13:20.000Z",
        "changedAt": "2023-11-14T22:13:20.000Z",
    }
    assert listed == {"galleries": [facts], "next": "a"}
    added = {"imageLabelPairs": wire_pairs((picture(BLUE), "blue")), "indexKey": "a"}
    result(await api.post(ADD, added))
    shown = await get(api, "/a")
    generation = shown.pop("generation")
    assert generation.startswith("g")
    changes = {"imageCount": 5, "changedAt": "2023-11-14T22:13:21.000Z"}
    assert shown == {**facts, **changes, "seq": 2, "snapshot": False}


async def test_pages_of_galleries(api: Api) -> None:
    seen, after = [], ""
    while True:
        page = await get(api, f"?limit=2&after={after}")
        seen += [gallery["indexKey"] for gallery in page["galleries"]]
        if "next" not in page:
            break
        after = page["next"]
    assert seen == ["a", "b", "c"]
    assert await get(api, "?after=zzz") == {"galleries": []}


async def test_a_service_without_galleries() -> None:
    assert await get(Api(), "") == {"galleries": []}


async def test_pages_of_templates(api: Api) -> None:
    first = await get(api, "/a/templates?limit=3")
    assert first["templates"] == [{"id": n, "label": LABELS[n]} for n in range(3)]
    assert first["next"] == 2
    assert await get(api, "/a/templates?after=2") == {"templates": [{"id": 3, "label": LABELS[3]}]}


@pytest.mark.parametrize("number", range(len(LABELS)))
async def test_templates_of_a_label(api: Api, number: int) -> None:
    response = await api.send("GET", f"{GALLERIES}/a/templates", params={"label": LABELS[number]})
    assert result(response) == {"templates": [{"id": number, "label": LABELS[number]}]}


@pytest.mark.parametrize(
    ("number", "encoded"),
    [(0, "red"), (1, "a%2Fb"), (1, "a/b"), (2, ""), (3, "Zo%C3%AB%20%E7%8E%8B%20100%25%3F%23%26")],
)
async def test_removing_a_label(api: Api, number: int, encoded: str) -> None:
    response = await api.send("DELETE", f"{GALLERIES}/a/labels/{encoded}")
    assert result(response) == {"ids": [number], "imageCount": 3}
    left = (await get(api, "/a/templates"))["templates"]
    assert [t["id"] for t in left] == [n for n in range(4) if n != number]
    again = await api.send("DELETE", f"{GALLERIES}/a/labels/{encoded}")
    assert result(again) == {"ids": [], "imageCount": 3}


@pytest.mark.parametrize("label", ["nobody", "re", "red%20", "RED", "%2E%2E"])
async def test_a_label_that_nobody_has_is_no_error(api: Api, label: str) -> None:
    response = await api.send("DELETE", f"{GALLERIES}/a/labels/{label}")
    assert result(response) == {"ids": [], "imageCount": 4}


async def test_a_label_in_another_encoding_is_told(api: Api) -> None:
    response = await api.send("DELETE", f"{GALLERIES}/a/labels/M%FCller")
    assert places(failure(response, 422)) == ["path"]
    response = await api.send("GET", f"{GALLERIES}/a/templates?label=M%FCller")
    assert places(failure(response, 422)) == ["query"]


@pytest.mark.parametrize("label", ["a%00b", "x" * 1001])
async def test_what_is_no_label(api: Api, label: str) -> None:
    response = await api.send("DELETE", f"{GALLERIES}/a/labels/{label}")
    assert places(failure(response, 422)) == ["path.label"]
    response = await api.send("GET", f"{GALLERIES}/a/templates?label={label}")
    assert places(failure(response, 422)) == ["query.label"]


async def test_dropping_a_gallery(api: Api) -> None:
    assert result(await api.send("DELETE", f"{GALLERIES}/a")) == {"imageCount": 4}
    assert "does not exist" in failure(await api.send("DELETE", f"{GALLERIES}/a"), 404)
    assert [g["indexKey"] for g in (await get(api, ""))["galleries"]] == ["b", "c"]


async def test_optimising_is_accepted_for_later(api: Api) -> None:
    response = await api.send("POST", f"{GALLERIES}/a/optimize")
    assert result(response, 202) == {"imageCount": 4}
    assert api.index.optimized == ["a"]


@pytest.mark.parametrize(("method", "path"), ROUTES)
async def test_an_unknown_gallery(api: Api, method: str, path: str) -> None:
    response = await api.send(method, f"{GALLERIES}/nope{path}")
    assert "does not exist" in failure(response, 404)


@pytest.mark.parametrize("key", ["g%20g", "%00", "..%2Fg", "g" * 129, "%C3%BC", "a..b", "-", "*"])
@pytest.mark.parametrize(("method", "path"), ROUTES)
async def test_keys_that_are_no_keys(api: Api, method: str, path: str, key: str) -> None:
    response = await api.send(method, f"{GALLERIES}/{key}{path}")
    # An encoded slash is one: such an address leads elsewhere or nowhere, but never to a gallery.
    if "%2F" in key:
        assert response.status_code in {404, 405}
        return
    message = failure(response, 422)
    assert places(message) == ["path.key"]
    assert len(message) < 300
    assert len((await get(api, ""))["galleries"]) == 3


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("limit=0", ["query.limit"]),
        ("limit=1001", ["query.limit"]),
        ("limit=", ["query.limit"]),
        ("limit=ten", ["query.limit"]),
        ("limit=" + "9" * 5000, ["query.limit"]),
        ("after=..&limit=-1", ["query.after", "query.limit"]),
        ("after=%00", ["query.after"]),
    ],
)
@pytest.mark.parametrize("path", ["", "/a/templates"])
async def test_bad_queries(api: Api, path: str, query: str, expected: list[str]) -> None:
    message = failure(await api.send("GET", f"{GALLERIES}{path}?{query}"), 422)
    assert places(message) == expected
    assert "ten" not in message
    assert "999" not in message


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("POST", "", 405),
        ("PUT", "/a", 405),
        ("POST", "/a/templates", 405),
        ("GET", "/a/labels/red", 405),
        ("GET", "/a/optimize", 405),
        ("DELETE", "/a/", 404),
        ("DELETE", "/", 404),
        ("DELETE", "/a/labels", 404),
        ("GET", "/a/nope", 404),
    ],
)
async def test_other_methods_and_addresses(api: Api, method: str, path: str, status: int) -> None:
    failure(await api.send(method, GALLERIES + path), status)
    assert len((await get(api, ""))["galleries"]) == 3


@pytest.mark.parametrize(("method", "path"), ROUTES)
async def test_log_ids_are_fresh_and_those_of_a_body_echoed(
    api: Api, method: str, path: str
) -> None:
    address = f"{GALLERIES}/nope{path}"
    uuid.UUID((await api.send(method, address)).json()["logId"])
    for body in (b"", b"{", b"[]", b'{"logId": 5}'):
        reply = await api.send(method, address, content=body)
        uuid.UUID(reply.json()["logId"])
    reply = await api.send(method, address, json={"logId": "client-log-7"})
    assert reply.json()["logId"] == "client-log-7"


@pytest.mark.parametrize(("method", "path"), ROUTES)
async def test_with_the_store_down(api: Api, method: str, path: str) -> None:
    api.index.down = True
    response = await api.send(method, f"{GALLERIES}/a{path}")
    assert "unavailable" in failure(response, 503)
    assert response.headers["retry-after"] == "1"
    assert "unavailable" in failure(await api.send("GET", GALLERIES), 503)
    api.index.down = False
    assert len((await get(api, ""))["galleries"]) == 3


async def test_what_nobody_foresaw_says_nothing(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken(*_: object) -> None:
        raise ValueError("Anna in /srv/data")

    monkeypatch.setattr(api.index, "templates", broken)
    response = await api.send("GET", f"{GALLERIES}/a/templates?label=Anna")
    assert failure(response, 500) == "Internal server error"


async def test_the_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    api = Api(limits=Limits(request_timeout_s=0.05))

    async def hanging(*_: object, **__: object) -> FaceServeError:
        await asyncio.sleep(10)
        raise AssertionError

    monkeypatch.setattr(api.index, "list", hanging)
    message = failure(await api.send("GET", GALLERIES), 504)
    assert message.startswith("not done within 0.05 s")


async def test_a_body_over_the_limit() -> None:
    api = Api(limits=Limits(body_bytes=10))
    for method, path in ROUTES:
        response = await api.send(method, f"{GALLERIES}/a{path}", content=bytes(11))
        assert "over the limit" in failure(response, 413)


async def test_labels_are_in_no_error(api: Api) -> None:
    result(await api.build((picture(GREEN), "secret"), indexKey="s"))
    for path in ("/s/nope?label=secret", "/no pe/labels/secret", "/x/labels/secret"):
        response = await api.send("DELETE", GALLERIES + path)
        assert response.status_code in {404, 405, 422}
        assert "secret" not in response.text
