"""Lists of images as columns."""

from __future__ import annotations

import pickle
import tracemalloc
from pathlib import Path

import pyarrow as pa

from serve_app.jobs.inputs.listed import CHUNK, TEXT, ImageList, ListedImages
from tests.jobs.inputs.samples import maker, pairs


def listed(count: int, change: str = "") -> ListedImages:
    images = ImageList()
    for number in range(count):
        images.add(f"{number}.jpg{change if number == count - 1 else ''}", f"person {number}")
    return images.images(maker("/r"))


def test_rows_from_anywhere() -> None:
    images = listed(2 * CHUNK + 5)
    assert images.total == 2 * CHUNK + 5
    expected = [(f"/r/{number}.jpg", f"person {number}") for number in range(images.total)]
    assert pairs(list(images.rows(0, images.total))) == expected
    for start, stop in ((0, 1), (CHUNK - 1, CHUNK + 1), (images.total - 2, images.total + 9)):
        rows = list(images.rows(start, stop))
        assert pairs(rows) == expected[start:stop]
        assert [row.position for row in rows] == list(range(start, min(stop, images.total)))


def test_the_fingerprint_is_of_the_rows_however_they_came() -> None:
    images = ImageList()
    for at in range(0, 25_000, 777):
        upto = range(at, min(at + 777, 25_000))
        images.add_columns(
            pa.array([f"{number}.jpg" for number in upto], TEXT),
            pa.array([f"person {number}" for number in upto], TEXT),
            None,
        )
    assert images.images(maker("/r")).fingerprint == listed(25_000).fingerprint
    assert listed(10).fingerprint != listed(10, "x").fingerprint
    assert listed(10).fingerprint != listed(9).fingerprint


def test_ids_and_faults_stay_with_their_rows(tmp_path: Path) -> None:
    images = ImageList()
    images.add_columns(pa.array(["a", "b"], TEXT), pa.array(["A", None], TEXT), pa.array([4, 9]))
    first, second = images.images(maker(tmp_path)).rows(0, 2)
    assert (first.id, first.fault) == (4, None)
    assert (second.id, second.fault) == (9, "has no label")


def test_many_labels_are_compact() -> None:
    count = 50_000
    tracemalloc.start()
    images = listed(count)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 12_000_000, "Python's objects are only those of a chunk"
    assert len(pickle.dumps(images)) < count * 60
    copied = pickle.loads(pickle.dumps(images))
    assert pairs(list(copied.rows(count - 1, count))) == [("/r/49999.jpg", "person 49999")]
