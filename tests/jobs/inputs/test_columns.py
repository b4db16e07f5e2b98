"""Columns of a table of images: which there must be, of which types."""

from __future__ import annotations

import pyarrow as pa
import pytest

from serve_app.errors import InvalidRequestError
from serve_app.jobs.inputs.columns import check_types, image_columns, texts


def test_names() -> None:
    assert image_columns("/t", ["label", "x", "path"]).names == ["path", "label"]
    assert image_columns("/t", ["id", "url", "label"]).names == ["url", "label", "id"]
    assert image_columns("/t", ["bytes", "path", "label"]).names == ["path", "bytes", "label"]


@pytest.mark.parametrize(
    ("there", "message"),
    [(["path", "name"], "^/t has the columns path, name; needed are path, url or bytes, and label"),
     (["label"], "^/t has the columns label; needed"), ([], "the columns none; needed"),
     (["path", "url", "label"], "both columns path and url"),
     (["path", "path", "label"], "two columns called path"),
     ([f"c{number}" for number in range(30)], "c19 and 10 more; needed")],
)  # fmt: skip
def test_missing(there: list[str], message: str) -> None:
    with pytest.raises(InvalidRequestError, match=message):
        image_columns("/t", there)


def test_types() -> None:
    good = {"path": pa.string(), "bytes": pa.large_binary(), "label": pa.large_string(),
            "id": pa.uint32()}  # fmt: skip
    dictionary = pa.dictionary(pa.int32(), pa.string())
    check_types("/t", pa.schema(good | {"label": dictionary}), image_columns("/t", list(good)))
    for name, kind in (("path", pa.int64()), ("bytes", pa.string()), ("label", pa.float32()),
                       ("id", pa.string()), ("label", pa.null())):  # fmt: skip
        with pytest.raises(InvalidRequestError, match=f"/t: the column {name} is of type {kind}"):
            check_types("/t", pa.schema(good | {name: kind}), image_columns("/t", list(good)))


def test_texts() -> None:
    assert texts(pa.array(["a", None, ""])) == (["a", None, ""], set())
    assert texts(pa.array(["a", "b", "a"]).dictionary_encode()) == (["a", "b", "a"], set())
    unchecked = pa.array([b"a", b"\xff", None, b""], pa.binary()).view(pa.string())
    assert texts(unchecked) == (["a", r"\xff", None, ""], {1})
