from __future__ import annotations

import pytest
from pydantic import ValidationError

from serve_app.api.gallery_schemas import (
    GalleriesQuery,
    GalleryList,
    GalleryPath,
    LabelPath,
    Removal,
    TemplateList,
    TemplatesQuery,
)


def test_empty_is_the_first_page() -> None:
    assert GalleriesQuery.model_validate({"after": ""}).after is None
    assert TemplatesQuery.model_validate({"after": ""}).after is None


def test_an_empty_label_is_one() -> None:
    assert TemplatesQuery.model_validate({"label": ""}).label == ""
    assert TemplatesQuery.model_validate({}).label is None
    assert LabelPath.model_validate({"key": "g", "label": ""}).label == ""


@pytest.mark.parametrize("limit", ["0", "-1", "1001", "", "x", "1.5", "1e3", "9" * 5000])
@pytest.mark.parametrize("schema", [GalleriesQuery, TemplatesQuery])
def test_limits_out_of_range(
    schema: type[GalleriesQuery] | type[TemplatesQuery], limit: str
) -> None:
    with pytest.raises(ValidationError) as caught:
        schema.model_validate({"limit": limit})
    assert [problem["loc"] for problem in caught.value.errors()] == [("limit",)]


@pytest.mark.parametrize("after", ["-1", "x", str(2**63), "1.5", "NaN"])
def test_what_is_no_template_id(after: str) -> None:
    with pytest.raises(ValidationError):
        TemplatesQuery.model_validate({"after": after})


@pytest.mark.parametrize("key", ["../g", "a b", "\0", "g" * 129, "ü"])
def test_what_is_no_key(key: str) -> None:
    for values in (GalleriesQuery, GalleryPath):
        with pytest.raises(ValidationError) as caught:
            values.model_validate({"after": key, "key": key})
        assert [problem["type"] for problem in caught.value.errors()] == ["index_key"]


@pytest.mark.parametrize("label", ["a\0", "x" * 1001])
def test_what_is_no_label(label: str) -> None:
    with pytest.raises(ValidationError):
        LabelPath.model_validate({"key": "g", "label": label})
    with pytest.raises(ValidationError):
        TemplatesQuery.model_validate({"label": label})


def test_the_last_page_has_no_next() -> None:
    for page in (GalleryList(galleries=[]), TemplateList(templates=[])):
        assert "next" not in page.model_dump_json(by_alias=True, exclude_none=True)
    removal = Removal(ids=[1], image_count=2)
    assert removal.model_dump_json(by_alias=True) == '{"ids":[1],"imageCount":2}'
