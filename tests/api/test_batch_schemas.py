from __future__ import annotations

import json
from typing import Any

import pytest
from pydantic import ValidationError

from serve_app.api.batch_schemas import BatchRequest, BatchResult, FailedImage, ImageError
from serve_app.api.schemas import InferRequest, InferResult


def request(**fields: Any) -> BatchRequest:
    return BatchRequest.model_validate_json(json.dumps({"images": ["a"], **fields}))


@pytest.mark.parametrize("count", [1, 64])
def test_as_many_images_as_are_read(count: int) -> None:
    assert len(request(images=["a"] * count).images) == count


@pytest.mark.parametrize(("images", "kind"), [([], "too_short"), (["a"] * 65, "too_long")])
def test_too_few_and_too_many(images: list[str], kind: str) -> None:
    with pytest.raises(ValidationError) as caught:
        request(images=images)
    assert [problem["type"] for problem in caught.value.errors()] == [kind]


def test_all_else_is_as_for_one_image() -> None:
    one = InferRequest.model_json_schema(by_alias=True)["properties"]
    several = BatchRequest.model_json_schema(by_alias=True)["properties"]
    different = {"image", "images", "visualize", "consistency", "hammingRadius"}
    assert set(one) - set(several) == {"image", "hammingRadius"}
    for name in set(one) & set(several) - different:
        assert one[name] == several[name]
    with pytest.raises(ValidationError):
        request(topk=1001)
    assert request().visualize is None


def test_a_result_has_faces_or_an_error() -> None:
    failed = FailedImage(error=ImageError(error_code=422, error_msg="no"))
    result = BatchResult(results=[InferResult(faces=[]), failed])
    assert json.loads(result.model_dump_json(by_alias=True, exclude_none=True)) == {
        "results": [{"faces": []}, {"error": {"errorCode": 422, "errorMsg": "no"}}]
    }
