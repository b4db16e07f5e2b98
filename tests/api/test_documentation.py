from __future__ import annotations

import re
from typing import Any

import pytest

from serve_app import policy
from serve_app.api.documentation import FAILURES
from serve_app.api.errors import STATUS
from serve_app.api.probes import PROBES
from serve_app.errors import InvalidRequestError
from tests.api.harness import ADD, BATCH, BUILD, INFER, REMOVE, Api

GALLERY = "/v1/galleries/{key}"
JOBS = "/v1/jobs"
ADDRESSES: dict[str, dict[str, tuple[str, list[str]]]] = {
    "/v1/galleries": {"get": ("200", ["query after", "query limit"])},
    GALLERY: {
        "get": ("200", ["path key"]),
        "delete": ("200", ["path key", "header Idempotency-Key"]),
    },
    f"{GALLERY}/templates": {
        "get": ("200", ["path key", "query label", "query after", "query limit"])
    },
    f"{GALLERY}/labels/{{label}}": {
        "delete": ("200", ["path key", "path label", "header Idempotency-Key"])
    },
    f"{GALLERY}/optimize": {"post": ("202", ["path key", "header Idempotency-Key"])},
    f"{JOBS}/{{id}}": {"get": ("200", ["path id"]), "delete": ("200", ["path id"])},
    "/v1/people/{label}": {
        "get": ("200", ["path label", "query embeddings", "query after", "query limit"]),
        "delete": ("200", ["path label"]),
    },
    "/v1/audit": {
        "get": (
            "200",
            [f"query {name}" for name in ("indexKey", "since", "until", "after", "limit")],
        )
    },
    f"{JOBS}/{{id}}/rejected": {"get": ("200", ["path id", "query after", "query limit"])},
}
"""Of each address and method: status of a success, and parameters."""


@pytest.fixture
async def document() -> dict[str, Any]:
    document: dict[str, Any] = (await Api().send("GET", "/openapi.json")).json()
    return document


def references(node: Any) -> set[str]:
    if isinstance(node, dict):
        own = {node["$ref"]} if isinstance(node.get("$ref"), str) else set()
        return own.union(*map(references, node.values()))
    return set().union(*map(references, node)) if isinstance(node, list) else set()


async def test_every_route_is_described_with_its_body_and_all_replies(
    document: dict[str, Any],
) -> None:
    assert set(document["paths"]) == {
        "/health",
        "/ready",
        BUILD,
        ADD,
        REMOVE,
        INFER,
        BATCH,
        JOBS,
        *ADDRESSES,
    }
    jobs = document["paths"][JOBS]
    assert set(jobs) == {"get", "post"}
    assert [p["name"] for p in jobs["get"]["parameters"]] == ["limit"]
    assert set(jobs["post"]["responses"]) == {"202", *map(str, FAILURES)}
    assert set(jobs["post"]["requestBody"]["content"]) == {"application/json"}
    for path, body in [
        (BUILD, "BuildRequest"),
        (ADD, "AddRequest"),
        (REMOVE, "RemoveRequest"),
        (INFER, "InferRequest"),
        (BATCH, "BatchRequest"),
    ]:
        operation = document["paths"][path]["post"]
        schema = operation["requestBody"]["content"]["application/json"]["schema"]
        assert schema == {"$ref": f"#/components/schemas/{body}"}
        assert set(operation["responses"]) == {"200", *map(str, FAILURES)}


async def test_every_address_is_described_with_its_parameters_and_all_replies(
    document: dict[str, Any],
) -> None:
    for path, methods in ADDRESSES.items():
        assert set(document["paths"][path]) == set(methods)
        for method, (status, parameters) in methods.items():
            operation = document["paths"][path][method]
            assert [f"{p['in']} {p['name']}" for p in operation["parameters"]] == parameters
            assert "requestBody" not in operation
            assert set(operation["responses"]) == {status, *map(str, FAILURES)}
            for parameter in operation["parameters"]:
                assert parameter["required"] is (parameter["in"] == "path")


async def test_a_success_that_may_come_in_msgpack_is_described_so(
    document: dict[str, Any],
) -> None:
    kinds = {
        (path, status): set(answer["content"])
        for path, methods in document["paths"].items()
        for operation in methods.values()
        for status, answer in operation["responses"].items()
    }
    for (path, status), content in kinds.items():
        always_json = path in PROBES or not status.startswith("2")
        assert content == {"application/json"} | (set() if always_json else {"application/msgpack"})


async def test_changes_may_be_named_and_searches_not(document: dict[str, Any]) -> None:
    for path in (BUILD, ADD, REMOVE, JOBS):
        (parameter,) = document["paths"][path]["post"]["parameters"]
        assert parameter["name"] == "Idempotency-Key"
        assert parameter["schema"]["maxLength"] == 255
    assert {p["in"] for p in document["paths"][INFER]["post"]["parameters"]} == {"query"}
    assert "parameters" not in document["paths"][BATCH]["post"]


async def test_every_reference_leads_somewhere(document: dict[str, Any]) -> None:
    found = references(document)
    assert "#/components/schemas/ImageLabelPair" in found
    for reference in found:
        node = document
        for part in reference.removeprefix("#/").split("/"):
            node = node[part]
        assert node


async def test_the_wires_words_are_described(document: dict[str, Any]) -> None:
    schemas = document["components"]["schemas"]
    assert set(schemas["InferRequest"]["properties"]) == {
        "logId",
        "image",
        "indexKey",
        "detThreshold",
        "recThreshold",
        "hammingRadius",
        "topk",
        "visualize",
        "consistency",
    }
    assert schemas["BuildRequest"]["required"] == ["imageLabelPairs"]
    index_type = schemas["BuildRequest"]["properties"]["indexType"]
    assert (index_type["minLength"], index_type["maxLength"]) == (1, 256)
    assert index_type["default"] == "Flat"
    assert schemas["Consistency"]["enum"] == ["strong", "eventual"]
    assert "stale" in schemas["InferResult"]["properties"]
    assert schemas["BatchRequest"]["properties"]["images"]["maxItems"] == 64
    assert schemas["JobBody"]["required"] == ["key", "input"]
    assert not {"report", "pipeline"} & set(schemas["JobBody"]["properties"])
    assert set(schemas["ImageArray"]["properties"]) == {"shape", "dtype", "data", "order"}


@pytest.mark.parametrize("name", ["a", "a.b-c_d.", "0..1", ".a", "-a", "", "a/b", "é", "a" * 128])
async def test_the_rule_of_names_is_a_pattern(document: dict[str, Any], name: str) -> None:
    """What the document lets through the service does, and the other way round."""
    (key,) = document["paths"][GALLERY]["get"]["parameters"]
    (job,) = document["paths"][f"{JOBS}/{{id}}"]["get"]["parameters"]
    body = document["components"]["schemas"]["JobBody"]["properties"]["key"]
    for described in (key["schema"], job["schema"], body):
        assert (described["minLength"], described["maxLength"]) == (1, 128)
        matches = re.search(described["pattern"], name) is not None
        assert matches is _is_allowed(name)


def _is_allowed(name: str) -> bool:
    try:
        policy.check_key(name)
    except InvalidRequestError:
        return False
    return True


def test_every_status_that_an_error_can_have_is_described() -> None:
    assert set(FAILURES) == set(STATUS.values())


async def test_the_page_and_all_it_loads_come_from_this_service() -> None:
    api = Api()
    page = (await api.send("GET", "/docs")).text
    loaded = re.findall(r'(?:src|href)="([^"]+)"', page)
    assert len(loaded) >= 2
    for address in loaded:
        assert address.startswith("/"), "a closed network can't load it"
        response = await api.send("GET", address)
        assert response.status_code == 200
        assert len(response.content) > 1000
