from __future__ import annotations

import json
from typing import Any

import pytest

from serve_app.api.batch_schemas import BatchRequest
from serve_app.api.forms.assembly import assemble
from serve_app.api.forms.multipart_form import Part
from serve_app.api.forms.places import Place, place_of
from serve_app.api.schemas import AddRequest, InferRequest, Request
from serve_app.errors import InvalidRequestError


def place(schema: type[Request]) -> Place:
    found = place_of(schema, 10)
    assert found is not None
    return found


ONE, MANY, PAIRS = place(InferRequest), place(BatchRequest), place(AddRequest)


def image(content: bytes = b"x") -> Part:
    return Part("image", content, True)


def text(name: str, content: str) -> Part:
    return Part(name, content.encode(), False)


def request(**values: Any) -> Part:
    return text("request", json.dumps(values))


def problem(*parts: Part, where: Place) -> tuple[str, str]:
    with pytest.raises(InvalidRequestError) as caught:
        assemble(parts, where)
    (told,) = json.loads(str(caught.value))
    return told["loc"], told["msg"]


def test_one_image_and_its_fields() -> None:
    parts = [text("topk", "3"), image(), text("indexKey", "g")]
    assert assemble(parts, ONE) == {"image": b"x", "topk": "3", "indexKey": "g"}


def test_several_images_in_their_order() -> None:
    assert assemble([image(b"1"), image(b"2")], MANY) == {"images": [b"1", b"2"]}
    assert assemble([image(b"1")], MANY) == {"images": [b"1"]}


def test_an_image_that_is_no_file_is_a_url_or_base64() -> None:
    parts = [text("image", "http://a.example/b"), image()]
    assert assemble(parts, MANY) == {"images": ["http://a.example/b", b"x"]}


def test_images_and_labels_are_pairs_in_their_order() -> None:
    expected = [{"image": b"1", "label": "anna"}, {"image": b"2", "label": "ben"}]
    parts = [image(b"1"), text("label", "anna"), image(b"2"), text("label", "ben")]
    assert assemble(parts, PAIRS) == {"imageLabelPairs": expected}
    grouped = sorted(parts, key=lambda part: part.name)
    assert assemble(grouped, PAIRS) == {"imageLabelPairs": expected}


def test_labels_in_the_json_take_the_images_in_their_order() -> None:
    url = {"image": "http://a.example/b", "label": "carla"}
    asked = request(imageLabelPairs=[{"label": "anna"}, url, {"label": "ben", "image": None}])
    assert assemble([image(b"1"), image(b"2"), asked], PAIRS) == {
        "imageLabelPairs": [
            {"image": b"1", "label": "anna"},
            url,
            {"image": b"2", "label": "ben"},
        ]
    }


def test_a_field_goes_before_the_json_and_the_last_field_counts() -> None:
    parts = [text("topk", "1"), request(topk=9, indexKey="g"), text("topk", "2")]
    assert assemble(parts, ONE) == {"topk": "2", "indexKey": "g"}


@pytest.mark.parametrize("where", [ONE, MANY, PAIRS])
def test_nothing_is_nothing_and_unknown_parts_are_ignored(where: Place) -> None:
    assert assemble([], where) == {}
    parts = [Part("other", b"\xff", False), text("images", "a"), text("imageLabelPairs", "a")]
    assert assemble(parts, where) == {}


@pytest.mark.parametrize(
    ("parts", "where", "expected"),
    [
        ([image(), image()], ONE, ("body.image", "2 images: one is read")),
        ([image(), request(image="a")], ONE, ("body.image", "is in a part and in the JSON")),
        ([image(), request(images=["a"])], MANY, ("body.images", "is in a part and in the JSON")),
        ([image()], PAIRS, ("body.imageLabelPairs", "1 image parts for 0 labels")),
        ([text("label", "a")], PAIRS, ("body.imageLabelPairs", "0 image parts for 1 labels")),
        (
            [image(), request(imageLabelPairs=[])],
            PAIRS,
            ("body.imageLabelPairs", "1 image parts for 0 labels"),
        ),
        (
            [image(), text("label", "a"), request(imageLabelPairs=[{"label": "a"}])],
            PAIRS,
            ("body.label", "is in a part and in the JSON"),
        ),
        ([Part("image", b"\xff\xd8", False)], ONE, ("body.image", "has a file name")),
        ([image(), Part("label", b"\xff", False)], PAIRS, ("body.label", "should be UTF-8")),
        ([Part("topk", b"\xff", False)], ONE, ("body.topk", "should be UTF-8")),
        ([text("request", "{")], ONE, ("body.request", "JSON decode error")),
        ([text("request", "[]")], ONE, ("body.request", "should be an object")),
    ],
)
def test_what_does_not_fit_together(
    parts: list[Part], where: Place, expected: tuple[str, str]
) -> None:
    location, message = problem(*parts, where=where)
    assert location == expected[0]
    assert expected[1] in message


@pytest.mark.parametrize("pairs", ["a", 5, {"a": "b"}])
def test_what_is_no_list_is_left_to_the_schema(pairs: object) -> None:
    assert assemble([request(imageLabelPairs=pairs)], PAIRS) == {"imageLabelPairs": pairs}


def test_pairs_that_are_none_are_left_to_the_schema() -> None:
    values = assemble([request(imageLabelPairs=[5, {"label": "a"}]), image()], PAIRS)
    assert values == {"imageLabelPairs": [5, {"label": "a", "image": b"x"}]}
