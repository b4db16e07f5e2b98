from __future__ import annotations

import json
from typing import Any

import pytest
from pydantic import ValidationError

from serve_app.api.schemas import (
    AddRequest,
    BuildRequest,
    GalleryResult,
    ImageLabelPair,
    InferRequest,
    InferResult,
    RecognisedFace,
    RecResult,
    RemoveRequest,
)
from serve_app.types import Consistency, IndexType, Metric


def infer(**fields: Any) -> InferRequest:
    return InferRequest.model_validate_json(json.dumps({"image": "a", **fields}))


def problems(**fields: Any) -> list[str]:
    with pytest.raises(ValidationError) as caught:
        infer(**fields)
    return [problem["type"] for problem in caught.value.errors()]


def test_types_are_as_lax_as_paddlexs() -> None:
    ids = RemoveRequest.model_validate_json('{"ids": ["99", 1.0, true, 9223372036854775808]}').ids
    assert ids == [99, 1, 1, 9223372036854775808]
    assert infer(recThreshold="0.2", visualize="false").rec_threshold == 0.2
    assert infer(visualize="false").visualize is False
    assert infer(detThreshold=1, topk="3", hammingRadius=3).topk == 3


def test_null_is_the_same_as_left_out() -> None:
    fields = ("indexKey", "detThreshold", "recThreshold", "hammingRadius", "topk", "visualize")
    assert infer(**dict.fromkeys(fields)) == infer()


def test_unknown_fields_and_our_own_names_are_ignored() -> None:
    request = infer(foo=1, index_key="mine", rec_threshold=0.3)
    assert (request.index_key, request.rec_threshold) == (None, None)


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"image": 5}, ["string_type"]),
        ({"recThreshold": "x"}, ["float_parsing"]),
        ({"recThreshold": "nan"}, ["finite_number"]),
        ({"detThreshold": "inf"}, ["finite_number"]),
        ({"topk": -1}, ["greater_than_equal"]),
        ({"topk": 1001}, ["less_than_equal"]),
        ({"topk": 1.5}, ["int_from_float"]),
        ({"indexKey": ""}, ["index_key"]),
        ({"indexKey": "a/b"}, ["index_key"]),
        ({"indexKey": 5}, ["string_type"]),
        ({"visualize": "maybe"}, ["bool_parsing"]),
    ],
)
def test_what_is_refused(fields: dict[str, Any], expected: list[str]) -> None:
    assert problems(**fields) == expected


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999"])
def test_numbers_that_are_none_are_refused(number: str) -> None:
    with pytest.raises(ValidationError, match="finite"):
        InferRequest.model_validate_json(f'{{"image": "a", "recThreshold": {number}}}')


@pytest.mark.parametrize(
    ("label", "good"),
    [("", True), ("人 A", True), ("x" * 1000, True), ("x" * 1001, False), ("a\0", False)],
)
def test_labels(label: str, good: bool) -> None:
    body = json.dumps({"image": "a", "label": label})
    if good:
        assert ImageLabelPair.model_validate_json(body).label == label
    else:
        with pytest.raises(ValidationError):
            ImageLabelPair.model_validate_json(body)


def test_defaults_of_building_and_adding() -> None:
    body = '{"imageLabelPairs": [{"image": "a", "label": "b"}]}'
    build, add = BuildRequest.model_validate_json(body), AddRequest.model_validate_json(body)
    assert (build.index_type, build.metric_type) == (IndexType.FLAT, Metric.IP)
    assert (build.on_error, build.return_id_map, build.index_key) == ("fail", True, None)
    assert (add.on_error, add.return_id_map, add.index_key) == ("fail", True, None)


@pytest.mark.parametrize("field", ["metricType", "onError"])
def test_words_that_are_not_in_the_list_are_refused_and_not_repeated(field: str) -> None:
    body = {"imageLabelPairs": [{"image": "a", "label": "b"}], field: "LSH"}
    with pytest.raises(ValidationError) as caught:
        BuildRequest.model_validate_json(json.dumps(body))
    assert "LSH" not in caught.value.errors()[0]["msg"]


def test_replies_have_the_wires_words_in_its_order() -> None:
    face = RecognisedFace(
        bbox=[1, 2, 3, 4], rec_results=[RecResult(label="a", score=0.5)], score=0.9
    )
    assert face.model_dump_json(by_alias=True) == (
        '{"bbox":[1.0,2.0,3.0,4.0],"recResults":[{"label":"a","score":0.5}],"score":0.9}'
    )
    gallery = GalleryResult(id_map={0: "人"}, image_count=1)
    assert gallery.model_dump_json(by_alias=True, exclude_none=True) == (
        '{"idMap":{"0":"人"},"imageCount":1}'
    )


def build(**fields: Any) -> BuildRequest:
    body = {"imageLabelPairs": [{"image": "a", "label": "b"}], **fields}
    return BuildRequest.model_validate_json(json.dumps(body))


@pytest.mark.parametrize("index_type", ["Flat", "HNSW32", "IVF4096,SQ8", "x", "x" * 256])
def test_index_types(index_type: str) -> None:
    assert build(indexType=index_type).index_type == index_type


@pytest.mark.parametrize(
    "index_type", ["", "x" * 257, "IVF\n", "a\0", "\x1b[31m", "\u200b", 5, None, ["Flat"]]
)
def test_what_is_no_index_type_is_refused_and_not_repeated(index_type: object) -> None:
    with pytest.raises(ValidationError) as caught:
        build(indexType=index_type)
    (problem,) = caught.value.errors()
    assert problem["loc"] == ("indexType",)
    assert "xxx" not in problem["msg"]


def test_consistency() -> None:
    assert infer().consistency is Consistency.STRONG
    assert infer(consistency="eventual").consistency is Consistency.EVENTUAL
    wrongs: list[object] = ["Eventual", "", "weak", 1, None, {}]
    for wrong in wrongs:
        assert problems(consistency=wrong) == ["enum"]


def test_stale_is_there_only_if_it_is() -> None:
    for stale, expected in ((True, '{"faces":[],"stale":true}'), (None, '{"faces":[]}')):
        reply = InferResult(faces=[], stale=stale)
        assert reply.model_dump_json(by_alias=True, exclude_none=True) == expected
