"""The files of a sealed segment, and files that are not those of the gallery."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import faiss
import numpy as np
import pytest

from serve_app.index.gallery import (
    FaissDevice,
    LabelColumn,
    read_sealed,
    train_and_add,
    write_sealed,
)
from serve_app.types import Metric
from tests.index.brute_force import every_metric, sealed
from tests.index.samples import vectors

COUNT = 800


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write(tmp_path)
    return tmp_path


def write(
    folder: Path, index_type: str = "Flat", metric: Metric = Metric.IP, count: int = COUNT
) -> None:
    labels = LabelColumn()
    labels.append([f"label {number}" for number in range(count)])
    index = train_and_add(index_type, metric, 8, vectors(count), 1)
    names = write_sealed(folder, index, np.arange(count), labels)
    assert names == ["vector.index", "templates.npz"]
    assert sorted(file.name for file in folder.iterdir()) == sorted(names)


@every_metric
@pytest.mark.parametrize("index_type", ["Flat", "IVF", "HNSW32", "IVF8,SQ8", "PQ4x4fs"])
def test_there_and_back(tmp_path: Path, index_type: str, metric: Metric) -> None:
    write(tmp_path, index_type, metric)
    there = sealed(vectors(COUNT), index_type, metric)
    back = read_sealed(tmp_path, index_type, metric, 8, COUNT)
    assert back.index_type == index_type
    for _ in range(2):
        (scores, ids), (again, same) = (
            each.search(vectors(5, seed=9), 10) for each in (there, back)
        )
        assert np.array_equal(scores, again)
        assert np.array_equal(ids, same)
        assert there.remove(range(0, COUNT, 3)) == back.remove(range(0, COUNT, 3))
    assert back.label(1) == "label 1"


def test_an_empty_gallery(tmp_path: Path) -> None:
    write(tmp_path, count=0)
    assert len(read_sealed(tmp_path, "Flat", Metric.IP, 8, 0)) == 0


@pytest.mark.parametrize(
    ("metric", "dimension", "count", "message"),
    [
        (Metric.L2, 8, COUNT, "metric is IP, not L2"),
        (Metric.IP, 9, COUNT, "dimension is 8, not 9"),
        (Metric.IP, 8, 801, "number of vectors is 800, not 801"),
    ],
)
def test_another_gallery(
    folder: Path, metric: Metric, dimension: int, count: int, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        read_sealed(folder, "Flat", metric, dimension, count)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"ids": np.arange(COUNT - 1)}, "number of ids is 799, not 800"),
        ({"ids": np.arange(COUNT)[::-1]}, "not strictly ascending"),
        ({"ids": np.arange(COUNT, dtype=np.int32)}, "ids are int32"),
        ({"label_offsets": np.zeros(3, np.uint64)}, "from 0 to 0, not from 0 to"),
        ({"ids": np.array([object()])}, "templates.npz can't be read: ValueError"),
    ],
)
def test_other_templates(folder: Path, changed: dict[str, np.ndarray], message: str) -> None:
    with np.load(folder / "templates.npz") as arrays:
        kept = dict(arrays)
    np.savez(folder / "templates.npz", **(kept | changed))
    with pytest.raises(ValueError, match=message):
        read_sealed(folder, "Flat", Metric.IP, 8, COUNT)


@pytest.mark.parametrize("name", ["vector.index", "templates.npz"])
@pytest.mark.parametrize("left", [None, 0, 100])
def test_torn_and_missing_files(folder: Path, name: str, left: int | None) -> None:
    file = folder / name
    if left is None:
        file.unlink()
    else:
        file.write_bytes(file.read_bytes()[:left])
    with pytest.raises(ValueError, match=f"{name} can't be read") as caught:
        read_sealed(folder, "Flat", Metric.IP, 8, COUNT)
    assert str(folder) not in str(caught.value)


class OneGpu:
    """Stands in for FAISS: what is moved stays where it is."""

    def __init__(self) -> None:
        self.moved = 0

    def index_cpu_to_gpu(self, resources: object, number: int, index: Any) -> Any:
        self.moved += 1
        return index


def test_it_is_moved_to_the_device_once(folder: Path) -> None:
    there = OneGpu()
    device = FaissDevice(0, object(), there)
    assert len(read_sealed(folder, "Flat", Metric.IP, 8, COUNT, device)) == COUNT
    assert there.moved == 1


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(OSError, match=r"vector\.index can't be written") as caught:
        write_sealed(tmp_path / "no", faiss.IndexFlatIP(8), np.arange(0), LabelColumn())
    assert str(tmp_path) not in str(caught.value)
