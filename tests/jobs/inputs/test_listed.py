"""Lists of images as columns."""

from __future__ import annotations

import pickle
import time
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


def test_a_million_labels_are_compact() -> None:
    tracemalloc.start()
    began = time.monotonic()
    images = listed(200_000)
    took = time.monotonic() - began
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 30_000_000, "Python's objects are only those of a chunk"
    assert took < 20
    copied = pickle.loads(pickle.dumps(images))
    assert len(pickle.dumps(images)) < 200_000 * 60
    assert pairs(list(copied.rows(199_999, 200_000))) == [("/r/199999.jpg", "person 199999")]
