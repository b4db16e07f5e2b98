"""Every kind of input is one of the two shapes, and travels to a worker."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest

from serve_app.jobs.inputs.opening import open_input
from serve_app.jobs.inputs.rows import EmbeddingInput, ImageInput
from tests.jobs.inputs.samples import request, vectors, write_table


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "people" / "Ann").mkdir(parents=True)
    (tmp_path / "people" / "Ann" / "a.jpg").write_bytes(b"a")
    (tmp_path / "list.txt").write_text("a.jpg Ann\n")
    (tmp_path / "t.csv").write_text("path,label\na.jpg,Ann\n")
    write_table(tmp_path / "t.parquet", {"bytes": [b"a"], "label": ["Ann"]})
    write_table(
        tmp_path / "e.parquet", {"embedding": vectors(1), "label": ["Ann"]},
        metadata={"model_id": "m"},
    )  # fmt: skip
    return tmp_path


@pytest.mark.parametrize("name", ["people", "list.txt", "t.csv", "t.parquet"])
def test_images(folder: Path, name: str) -> None:
    found = open_input(request(folder / name), None)
    assert isinstance(found, ImageInput)
    assert not isinstance(found, EmbeddingInput)
    copied = pickle.loads(pickle.dumps(found))
    assert (copied.total, copied.fingerprint) == (1, found.fingerprint)
    (row,) = copied.rows(0, 1)
    assert (row.position, row.label, row.fault) == (0, "Ann", None)


def test_embeddings(folder: Path) -> None:
    found = open_input(request(folder / "e.parquet"), None)
    assert isinstance(found, EmbeddingInput)
    assert not isinstance(found, ImageInput)
    (batch,) = pickle.loads(pickle.dumps(found)).batches(0, 5)
    assert (batch.start, batch.labels, batch.vectors.shape) == (0, ["Ann"], (1, 4))
