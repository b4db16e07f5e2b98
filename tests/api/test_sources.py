from __future__ import annotations

import json
from typing import Any

import pytest
from pydantic import BaseModel, ValidationError

from serve_app.api.sources import ImageArray, ImageSource

ARRAY = {"shape": [2, 1, 3], "dtype": "uint8", "data": b"abcdef"}


class Holder(BaseModel):
    image: ImageSource


def problems(**values: Any) -> list[tuple[str, str]]:
    with pytest.raises(ValidationError) as caught:
        Holder.model_validate(values)
    return [(".".join(map(str, p["loc"])), p["type"]) for p in caught.value.errors()]


def test_text_and_bytes_stay_what_they_are() -> None:
    for image in ("http://a.example/b", "", b"\xff\xd8", b""):
        assert Holder.model_validate({"image": image}).image == image


def test_an_array_is_rgb_unless_it_says_bgr() -> None:
    array = Holder.model_validate({"image": ARRAY}).image
    assert array == ImageArray(shape=(2, 1, 3), dtype="uint8", data=b"abcdef", order="RGB")
    bgr = Holder.model_validate({"image": {**ARRAY, "order": "BGR"}}).image
    assert isinstance(bgr, ImageArray)
    assert bgr.order == "BGR"


@pytest.mark.parametrize("image", [5, None, [1], True, 1.5, (b"a",)])
def test_what_is_no_image_is_told_as_one_problem(image: object) -> None:
    assert problems(image=image) == [("image", "image_type")]


@pytest.mark.parametrize(
    ("change", "place"),
    [
        ({"shape": [2, 1]}, "shape.2"),
        ({"shape": [2, 1, 4]}, "shape.2"),
        ({"shape": [0, 1, 3]}, "shape.0"),
        ({"shape": [2, -1, 3]}, "shape.1"),
        ({"shape": ["2", 1, 3]}, "shape.0"),
        ({"shape": [2, 1.0, 3]}, "shape.1"),
        ({"shape": None}, "shape"),
        ({"dtype": "float64"}, "dtype"),
        ({"dtype": "<f4"}, "dtype"),
        ({"data": "abcdef"}, "data"),
        ({"data": [1, 2, 3]}, "data"),
        ({"order": "rgb"}, "order"),
    ],
)
def test_arrays_that_are_none(change: dict[str, Any], place: str) -> None:
    ((location, _),) = problems(image={**ARRAY, **change})
    assert location == f"image.array.{place}"


@pytest.mark.parametrize("image", [5, None, [1], {"shape": [1, 1, 3]}])
def test_in_json_an_image_is_text_and_nothing_else(image: object) -> None:
    with pytest.raises(ValidationError) as caught:
        Holder.model_validate_json(json.dumps({"image": image}))
    (problem,) = caught.value.errors()
    assert (problem["type"], problem["loc"]) == ("string_type", ("image",))
    assert Holder.model_json_schema()["properties"]["image"]["type"] == "string"
