from __future__ import annotations

import pytest

from serve_app.api.batch_schemas import BatchRequest
from serve_app.api.forms.places import IMAGE, IMAGES, MORE_PARTS, PAIRS, place_of
from serve_app.api.schemas import AddRequest, BuildRequest, InferRequest, RemoveRequest, Request


@pytest.mark.parametrize(
    ("schema", "field", "most", "parts"),
    [
        (InferRequest, IMAGE, 1, 1),
        (BatchRequest, IMAGES, 64, 64),
        (BuildRequest, PAIRS, 70, 140),
        (AddRequest, PAIRS, 70, 140),
    ],
)
def test_where_images_are_and_how_many(
    schema: type[Request], field: str, most: int, parts: int
) -> None:
    place = place_of(schema, 70)
    assert place is not None
    assert (place.field, place.most, place.most_parts) == (field, most, parts + MORE_PARTS)
    assert {"logId", "indexKey"} <= place.simple
    assert field not in place.simple


def test_a_request_without_images_has_no_place_for_them() -> None:
    assert place_of(RemoveRequest, 70) is None
