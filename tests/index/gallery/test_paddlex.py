"""vector.index: made as PaddleX makes it, taken apart whatever PaddleX did to it, safely."""

from __future__ import annotations

import sys
from pathlib import Path

import faiss
import numpy as np
import pytest

from serve_app.index.gallery import kinds, train_and_add
from serve_app.index.gallery.kinds import IVF_LEAST_TRAINING
from serve_app.index.gallery.paddlex import (
    read_idmap,
    read_inner,
    take_apart,
    write_idmap,
    write_index,
)
from serve_app.types import IndexType, Metric
from tests.index.brute_force import every_metric, every_type
from tests.index.samples import vectors

FIXTURES = sorted((Path(__file__).parent.parent / "data" / "paddlex").iterdir())


def written(file: Path, kind: IndexType, metric: Metric, count: int, dimension: int = 16) -> Path:
    ids = 3 * np.arange(count, dtype=np.int64) + 5
    with file.open("wb") as stream:
        write_idmap(stream, kind, metric, ids, vectors(count, dimension))
    return file


@every_type
@every_metric
@pytest.mark.parametrize("count", [0, 1, IVF_LEAST_TRAINING + 1])
def test_there_and_back(index_type: IndexType, metric: Metric, count: int, tmp_path: Path) -> None:
    found = read_idmap(written(tmp_path / "vector.index", index_type, metric, count))
    assert found.ids.tolist() == [3 * number + 5 for number in range(count)]
    np.testing.assert_array_equal(found.vectors, vectors(count, 16).reshape(count, 16))
    untrained = index_type is IndexType.IVF and count < IVF_LEAST_TRAINING
    assert found.kind is (IndexType.FLAT if untrained else index_type)
    assert found.metric is metric


@pytest.mark.parametrize("fixture", FIXTURES, ids=lambda path: path.name)
def test_what_paddlex_wrote(fixture: Path) -> None:
    found = read_idmap(fixture / "vector.index")
    assert found.ids.tolist() == list(range(len(found.ids)))
    assert found.vectors.shape[1] == 128
    assert (found.metric, found.kind) == (Metric.IP, IndexType.FLAT)
    np.testing.assert_allclose(np.linalg.norm(found.vectors, axis=1), 1, atol=1e-6)


def test_blocks_of_templates(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kinds, "CHUNK", 7)
    file = written(tmp_path / "vector.index", IndexType.FLAT, Metric.IP, 50)
    np.testing.assert_array_equal(read_idmap(file).vectors, vectors(50, 16))


@pytest.mark.parametrize("fixture", FIXTURES, ids=lambda path: path.name)
def test_written_byte_by_byte_as_paddlex_does(fixture: Path, tmp_path: Path) -> None:
    found = read_idmap(fixture / "vector.index")
    with (tmp_path / "vector.index").open("wb") as stream:
        write_idmap(stream, found.kind, found.metric, found.ids, found.vectors)
    assert (tmp_path / "vector.index").read_bytes() == (fixture / "vector.index").read_bytes()


@every_type
@every_metric
def test_an_index_that_is_there_already(
    index_type: IndexType, metric: Metric, tmp_path: Path
) -> None:
    """It is written as it is, is read as it is, and goes on answering meanwhile and after."""
    inner = train_and_add(index_type, metric, 16, vectors(1000, 16), threads=1)
    expected = inner.search(vectors(5, 16, seed=1), 3)
    ids = 2 * np.arange(1000, dtype=np.int64)
    file = tmp_path / "vector.index"
    with file.open("wb") as stream:
        write_index(stream, inner, ids)
    again = read_inner(file)
    outer = faiss.read_index(str(file))
    outer.add_with_ids(vectors(1, 16, seed=9), np.array([5000]))
    assert outer.search(vectors(1, 16, seed=9), 1)[1] == [[5000]]
    np.testing.assert_array_equal(outer.search(vectors(3, 16), 1)[1], [[0], [2], [4]])
    for index in (inner, again):
        found = index.search(vectors(5, 16, seed=1), 3)
        if index_type is not IndexType.IVF:  # more of its lists are looked into now
            np.testing.assert_array_equal(found[1], expected[1])
        assert index.ntotal == 1000
    np.testing.assert_array_equal(again.reconstruct_n(0, 1000), vectors(1000, 16))


@pytest.mark.parametrize("count", [1, 7])
def test_paddlex_ivf_of_few_images_is_refused(count: int, tmp_path: Path) -> None:
    """FAISS makes no list of IVF0 and drops what is added; it would give what is in memory."""
    outer = faiss.IndexIDMap2(faiss.index_factory(16, f"IVF{count // 8},Flat"))
    outer.train(vectors(count, 16))
    outer.add_with_ids(vectors(count, 16), np.arange(count))
    faiss.write_index(outer, str(tmp_path / "vector.index"))
    with pytest.raises(ValueError, match="IVF and lacks vectors"):
        read_idmap(tmp_path / "vector.index")


def test_effort_travels_along(tmp_path: Path) -> None:
    file = written(tmp_path / "vector.index", IndexType.IVF, Metric.IP, 1000)
    index = faiss.read_index(str(file))
    assert faiss.downcast_index(index.index).nprobe >= 8


def test_flat_after_a_removal(tmp_path: Path) -> None:
    file = written(tmp_path / "vector.index", IndexType.FLAT, Metric.L2, 10)
    index = faiss.read_index(str(file))
    index.remove_ids(np.array([8, 11]))
    faiss.write_index(index, str(file))
    found = read_idmap(file)
    assert found.ids.tolist() == [5, 14, 17, 20, 23, 26, 29, 32]
    np.testing.assert_array_equal(found.vectors, vectors(10, 16)[[0, 3, 4, 5, 6, 7, 8, 9]])


def test_ivf_after_a_removal_is_refused(tmp_path: Path) -> None:
    """FAISS keeps the inner rows' numbers and moves the ids up: which is which is lost."""
    file = written(tmp_path / "vector.index", IndexType.IVF, Metric.IP, 1000)
    index = faiss.read_index(str(file))
    index.remove_ids(np.array([8]))
    faiss.write_index(index, str(file))
    with pytest.raises(ValueError, match="lost track of its ids"):
        read_idmap(file)


@pytest.mark.parametrize(
    ("factory", "message"),
    [
        ("Flat", "is FAISS's IndexFlat.*, not an IndexIDMap2"),
        ("IDMap2,SQ8", "holds FAISS's IndexScalarQuantizer"),
        ("IDMap2,HNSW16", "holds FAISS's IndexHNSWFlat"),
    ],
)
def test_other_indexes(factory: str, message: str, tmp_path: Path) -> None:
    file = tmp_path / "vector.index"
    faiss.write_index(faiss.index_factory(16, factory), str(file))
    with pytest.raises(ValueError, match=f"^vector.index {message}"):
        read_idmap(file)


def test_another_metric(tmp_path: Path) -> None:
    file = tmp_path / "vector.index"
    faiss.write_index(faiss.IndexIDMap2(faiss.IndexFlat(16, faiss.METRIC_L1)), str(file))
    with pytest.raises(ValueError, match="FAISS's metric 2, known are IP and L2"):
        read_idmap(file)


@every_type
def test_every_cut_is_refused(index_type: IndexType, tmp_path: Path) -> None:
    file = written(tmp_path / "vector.index", index_type, Metric.IP, 400)
    content = file.read_bytes()
    for end in sorted({0, 1, 4, 20, 37, len(content) // 2, len(content) - 1}):
        file.write_bytes(content[:end])
        with pytest.raises(ValueError, match="is damaged or is no FAISS index") as raised:
            take_apart(file)
        assert str(tmp_path) not in str(raised.value)
    with pytest.raises(ValueError, match=r"^vector.index is damaged"):
        read_idmap(file)


@every_type
def test_changed_bytes_end_neither_this_process_nor_in_nonsense(
    index_type: IndexType, tmp_path: Path
) -> None:
    """The first bytes are counts and sizes. What is read at all has the shape it should have."""
    file = written(tmp_path / "vector.index", index_type, Metric.IP, 400)
    content = file.read_bytes()
    told: list[str] = []
    for place in range(0, 120, 10):
        changed = bytearray(content)
        changed[place] ^= 0xFF
        file.write_bytes(changed)
        try:
            found = read_idmap(file)
        except ValueError as error:
            told.append(str(error))
        else:
            assert found.vectors.shape == (len(found.ids), 16)
    assert told
    assert not any(str(tmp_path) in text for text in told)


def test_a_crash_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = written(tmp_path / "vector.index", IndexType.FLAT, Metric.IP, 1)
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with pytest.raises(ValueError, match="FAISS crashed"):
        read_idmap(file)


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"^vector.index is missing$"):
        read_idmap(tmp_path / "vector.index")


def test_a_full_disk(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No space left"):
        written(Path("/dev/full"), IndexType.FLAT, Metric.IP, 10)
