"""PaddleX's index directory: what is written, and what is refused."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import faiss
import numpy as np
import pytest

from serve_app.errors import InvalidRequestError
from serve_app.index.copies.directory import (
    VECTORS_FILE,
    IndexDirectory,
    read_directory,
    write_directory,
    wrong_length,
)
from serve_app.index.copies.face_serve_json import write_facts
from serve_app.index.copies.placing import FINISHED
from serve_app.index.gallery import train_and_add
from serve_app.types import IndexType, Metric
from tests.index.brute_force import every_metric, every_type
from tests.index.paddlex import FIXTURES, PaddleX
from tests.index.samples import vectors


@pytest.fixture
def theirs(tmp_path: Path) -> Path:
    """A copy of a directory that PaddleX wrote: 3 templates, Flat, IP."""
    shutil.copytree(FIXTURES / "paddlex343_flat_ip", tmp_path / "theirs")
    return tmp_path / "theirs"


def edit(directory: Path, old: str, new: str) -> None:
    file = directory / "id_map.yaml"
    text = file.read_text(encoding="utf-8")
    assert old in text
    file.write_text(text.replace(old, new), encoding="utf-8")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("  2: ID2\n", "", "count: vector.index has 3, id_map.yaml has 2"),
        ("  2: ID2", "  7: ID2", "id_map.yaml has no label for id 2"),
        ("metric_type: IP", "metric_type: L2", "metric: vector.index has IP, id_map.yaml has L2"),
        ("metric_type: IP", "metric_type: hamming", "metric: vector.index has IP, .* hamming"),
        ("index_type: Flat", "index_type: HNSW32", "index type: vector.index has Flat, .* HNSW32"),
    ],
)
def test_files_that_disagree(old: str, new: str, message: str, theirs: Path) -> None:
    edit(theirs, old, new)
    with pytest.raises(InvalidRequestError, match=message):
        read_directory(theirs)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"dimension": 64}, "dimension: vector.index has 128, face_serve.json has 64"),
        ({"count": 4}, "count: vector.index has 3, face_serve.json has 4"),
        ({"metric_type": "L2"}, "metric: vector.index has IP, face_serve.json has L2"),
        ({"next_id": 2}, "next_id is 2, there is an id 2"),
    ],
)
def test_facts_that_disagree(change: dict[str, object], message: str, theirs: Path) -> None:
    facts = {"gallery": "a", "index_type": "Flat", "metric_type": "IP", "dimension": 128,
             "model_id": "m", "count": 3, "next_id": 3, "seq": 1}  # fmt: skip
    write_facts(theirs / "face_serve.json", facts, ["vector.index", "id_map.yaml"])
    assert read_directory(theirs).model_id == "m"
    write_facts(theirs / "face_serve.json", facts | change, ["vector.index", "id_map.yaml"])
    with pytest.raises(InvalidRequestError, match=message):
        read_directory(theirs)


@pytest.mark.parametrize("name", ["vector.index", "id_map.yaml"])
def test_missing_and_damaged_files(name: str, theirs: Path) -> None:
    (theirs / name).write_bytes(b"\x00\x01\x02")
    with pytest.raises(InvalidRequestError, match=f"^{name} is"):
        read_directory(theirs)
    (theirs / name).unlink()
    with pytest.raises(InvalidRequestError, match=name):
        read_directory(theirs)
    with pytest.raises(InvalidRequestError, match="nowhere is not a directory"):
        read_directory(theirs / "nowhere")


@pytest.mark.parametrize("factor", [0.99, 0, float("nan"), float("inf")])
def test_vectors_that_are_not_normalised(factor: float, theirs: Path) -> None:
    outer = faiss.IndexIDMap2(faiss.IndexFlatIP(128))
    rows = np.zeros((3, 128), dtype=np.float32)
    rows[:, 0] = [1, factor, 1.0005]
    outer.add_with_ids(rows, np.arange(3))
    faiss.write_index(outer, str(theirs / "vector.index"))
    with pytest.raises(InvalidRequestError, match=r"the vector of id 1 has length .*, embeddings"):
        read_directory(theirs)


def test_an_id_twice(theirs: Path) -> None:
    outer = faiss.IndexIDMap2(faiss.IndexFlatIP(128))
    outer.add_with_ids(np.eye(3, 128, dtype=np.float32), np.array([0, 1, 1]))
    faiss.write_index(outer, str(theirs / "vector.index"))
    with pytest.raises(InvalidRequestError, match="holds an id twice"):
        read_directory(theirs)


def test_ids_in_any_order(theirs: Path) -> None:
    outer = faiss.IndexIDMap2(faiss.IndexFlatIP(128))
    outer.add_with_ids(np.eye(3, 128, dtype=np.float32), np.array([2, 0, 1]))
    faiss.write_index(outer, str(theirs / "vector.index"))
    content = read_directory(theirs)
    assert (content.ids.tolist(), content.labels) == ([0, 1, 2], ["ID0", "ID1", "ID2"])
    np.testing.assert_array_equal(content.vectors, np.eye(3, 128)[[1, 2, 0]])


def content_of(
    count: int, index_type: str = "Flat", metric: Metric = Metric.IP, model_id: str | None = "m"
) -> IndexDirectory:
    ids = 2 * np.arange(count, dtype=np.int64)
    labels = [f"Ann {number}" for number in ids.tolist()]
    rows = vectors(count, 16).reshape(count, 16)
    return IndexDirectory(index_type, metric, ids, labels, rows, 3 * count, model_id)


@every_type
@every_metric
@pytest.mark.parametrize("count", [0, 3, 500])
@pytest.mark.parametrize("model_id", ["m", None])
def test_there_and_back(
    index_type: IndexType, metric: Metric, count: int, model_id: str | None, tmp_path: Path
) -> None:
    content = content_of(count, index_type, metric, model_id)
    write_directory(tmp_path, content)
    assert PaddleX(tmp_path).id_map == dict(zip(content.ids.tolist(), content.labels, strict=True))
    again = read_directory(tmp_path, index_above=0)
    np.testing.assert_array_equal(again.vectors, content.vectors)
    np.testing.assert_array_equal(again.ids, content.ids)
    assert again.labels == content.labels
    assert (again.index_type, again.metric) == (index_type, metric)
    assert (again.next_id, again.model_id) == (3 * count, model_id)
    # IVF of too few templates is Flat in the file.
    was_trained = count == 500 or (index_type is IndexType.HNSW32 and count)
    assert (again.index is not None) == (was_trained and index_type is not IndexType.FLAT)


def test_a_built_index_is_written_and_read_as_it_is(tmp_path: Path) -> None:
    content = content_of(1000, "HNSW32")
    built = train_and_add("HNSW32", Metric.IP, 16, content.vectors, threads=1)
    links = faiss.vector_to_array(built.hnsw.neighbors)
    write_directory(tmp_path, replace(content, index=built))
    again = read_directory(tmp_path, index_above=999).index
    np.testing.assert_array_equal(faiss.vector_to_array(again.hnsw.neighbors), links)
    assert read_directory(tmp_path, index_above=1000).index is None
    assert read_directory(tmp_path).index is None


def test_an_index_in_another_order_is_not_taken(tmp_path: Path) -> None:
    rows = vectors(3, 16)
    outer = faiss.IndexIDMap2(faiss.IndexHNSWFlat(16, 32, faiss.METRIC_INNER_PRODUCT))
    outer.add_with_ids(rows, np.array([1, 0, 2]))
    faiss.write_index(outer, str(tmp_path / VECTORS_FILE))
    text = "id_map: {0: a, 1: b, 2: c}\nindex_type: HNSW32\nmetric_type: IP\n"
    (tmp_path / "id_map.yaml").write_text(text, encoding="utf-8")
    content = read_directory(tmp_path, index_above=0)
    assert content.index is None
    np.testing.assert_array_equal(content.vectors, rows[[1, 0, 2]])


def test_finished_files_come_first(theirs: Path) -> None:
    """A crash between the moment when new files count and their move."""
    made = theirs / FINISHED
    made.mkdir()
    write_directory(made, content_of(5))
    assert len(read_directory(theirs).ids) == 5
    (made / VECTORS_FILE).replace(theirs / VECTORS_FILE)
    assert len(read_directory(theirs).ids) == 5


@pytest.mark.parametrize("row", [0, 9_999, 10_000, 24_999])
def test_one_wrong_length_among_many(row: int) -> None:
    rows = vectors(25_000, 4)
    assert wrong_length(rows) is None
    rows[row] *= 0.5
    assert wrong_length(rows) == pytest.approx((row, 0.5), abs=1e-6)
    assert wrong_length(rows[:0]) is None


def test_files_that_may_not_be_read(theirs: Path) -> None:
    for name in ("vector.index", "id_map.yaml"):
        content = (theirs / name).read_bytes()
        (theirs / name).unlink()
        (theirs / name).mkdir()
        with pytest.raises(InvalidRequestError, match=name):
            read_directory(theirs)
        (theirs / name).rmdir()
        (theirs / name).write_bytes(content)
    assert len(read_directory(theirs).ids) == 3
