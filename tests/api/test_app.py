from __future__ import annotations

import uuid

import pytest

from tests.api.harness import ADD, BUILD, INFER, REMOVE, Api, failure, result, wire, wire_pairs
from tests.fakes import BLUE, GREEN, RED, FakeFetcher, picture

ROUTES = [BUILD, ADD, REMOVE, INFER]


async def test_build_add_remove_and_infer_as_the_tutorial_does() -> None:
    api = Api()
    built = result(await api.build((picture(RED), "ID0"), (picture(GREEN), "ID1")))
    assert built["idMap"] == {"0": "ID0", "1": "ID1"}
    assert built["imageCount"] == 2
    key = built["indexKey"]
    added = await api.post(
        ADD, {"imageLabelPairs": wire_pairs((picture(BLUE), "ID2")), "indexKey": key}
    )
    assert result(added) == {"idMap": {"0": "ID0", "1": "ID1", "2": "ID2"}, "imageCount": 3}
    removed = await api.post(REMOVE, {"ids": [1], "indexKey": key})
    assert result(removed) == {"idMap": {"0": "ID0", "2": "ID2"}, "imageCount": 2}
    found = result(await api.post(INFER, {"image": wire(picture(BLUE, GREEN)), "indexKey": key}))
    assert [face["recResults"][:1] for face in found["faces"]] == [
        [{"label": "ID2", "score": pytest.approx(1)}],
        [],
    ]
    assert found["faces"][1]["bbox"] == [32, 0, 64, 32]
    assert found["image"].startswith("/9j/")


async def test_health() -> None:
    api = Api()
    response = await api.send("GET", "/health")
    body = response.json()
    uuid.UUID(body.pop("logId"))
    assert body == {"errorCode": 0, "errorMsg": "Healthy"}
    assert (await api.send("HEAD", "/health")).status_code == 200


@pytest.mark.parametrize("path", ["/nope", "/", "/health/", "/docs/nope", BUILD + "/"])
async def test_an_unknown_route_is_404_in_the_envelope(path: str) -> None:
    assert failure(await Api().post(path, {}), 404) == "Not Found"


@pytest.mark.parametrize("path", ROUTES)
async def test_another_method_is_405_in_the_envelope(path: str) -> None:
    response = await Api().send("GET", path)
    assert failure(response, 405) == "Method Not Allowed"
    assert response.headers["allow"] == "POST"


@pytest.mark.parametrize(
    ("path", "methods"),
    [
        ("/health", "GET, HEAD"),
        ("/v1/galleries", "GET"),
        ("/v1/galleries/g", "DELETE, GET"),
        ("/v1/galleries/g/labels/a/b", "DELETE"),
        ("/v1/galleries/g/optimize", "POST"),
        ("/v1/jobs", "GET, POST"),
        ("/v1/jobs/one", "DELETE, GET"),
        ("/v1/jobs/one/rejected", "GET"),
    ],
)
async def test_405_tells_all_methods_of_an_address(path: str, methods: str) -> None:
    response = await Api().send("PUT", path)
    assert failure(response, 405) == "Method Not Allowed"
    assert response.headers["allow"] == methods


async def test_404_and_405_echo_the_log_id() -> None:
    for method, path in [("POST", "/nope"), ("PUT", INFER)]:
        response = await Api().send(method, path, json={"logId": "client-log-8"})
        assert response.json()["logId"] == "client-log-8"


async def test_shutting_down_closes_the_fetcher() -> None:
    fetcher = FakeFetcher()
    api = Api(fetcher=fetcher)
    async with api.app.router.lifespan_context(api.app):
        assert not fetcher.closed
    assert fetcher.closed
