from __future__ import annotations

from typing import Any

import pytest
from pydantic import TypeAdapter

from serve_app.api.batch_schemas import BatchRequest
from serve_app.api.forms.description import content, query
from serve_app.api.forms.places import place_of
from serve_app.api.schemas import AddRequest, BuildRequest, InferRequest, RemoveRequest, Request

REFERENCE = "#/schemas/{model}"
FORMS = {"application/json", "multipart/form-data", "application/msgpack"}


@pytest.mark.parametrize(
    ("schema", "forms"),
    [
        (RemoveRequest, {"application/json"}),
        (BuildRequest, FORMS),
        (AddRequest, FORMS),
        (BatchRequest, FORMS),
        (InferRequest, FORMS | {"image/*"}),
    ],
)
def test_the_forms_of_each_operation(schema: type[Request], forms: set[str]) -> None:
    described = content(schema, REFERENCE)
    assert set(described) == forms
    reference = {"$ref": f"#/schemas/{schema.__name__}"}
    assert described["application/json"]["schema"] == reference


@pytest.mark.parametrize("schema", [BuildRequest, AddRequest, BatchRequest, InferRequest])
def test_the_examples_are_requests(schema: type[Request]) -> None:
    for example in content(schema, REFERENCE)["application/json"]["examples"].values():
        TypeAdapter(schema).validate_python(example["value"])


@pytest.mark.parametrize("schema", [BuildRequest, AddRequest, BatchRequest, InferRequest])
def test_every_field_is_described_in_every_form(schema: type[Request]) -> None:
    place = place_of(schema, 10)
    assert place is not None
    described = content(schema, REFERENCE)
    parts = set(properties(described["multipart/form-data"]))
    labels = {"label"} if place.field == "imageLabelPairs" else set()
    assert parts == place.simple | {"image", "request"} | labels
    assert set(properties(described["application/msgpack"])) == place.simple | {place.field}


def test_an_image_in_msgpack_may_fit_two_kinds_of_string() -> None:
    """Text and a file are both strings to JSON schema: of ``oneOf`` none would be valid."""
    image = properties(content(InferRequest, REFERENCE)["application/msgpack"])["image"]
    assert "oneOf" not in image
    assert [kind.get("format", kind.get("type")) for kind in image["anyOf"]] == [
        "string",
        "binary",
        None,
    ]


def test_the_query_of_a_bare_image_has_all_but_the_image() -> None:
    place = place_of(InferRequest, 10)
    assert place is not None
    assert set(query(InferRequest, REFERENCE)) == place.simple
    assert query(BatchRequest, REFERENCE) == query(RemoveRequest, REFERENCE) == {}


def properties(form: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = form["schema"]["properties"]
    return found
