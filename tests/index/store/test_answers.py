"""What a named operation is answered when it is asked for again."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from serve_app.errors import OperationReusedError
from serve_app.index.store import GalleryStore
from serve_app.types import Metric, Operation, Receipt
from tests.index.samples import embeddings

ONE = Operation("one", "digest", "a note")


@pytest.fixture(params=["sqlite", "postgresql"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[GalleryStore]:
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path / 'galleries.db'}"
    else:
        url = request.getfixturevalue("postgres_url")
    store = GalleryStore(url, migrate=True)
    labels = ["a", "b", "c"]
    store.create("g", "Flat", Metric.IP, labels, embeddings(3), with_labels=False)
    yield store
    store.close()


def add(store: GalleryStore) -> Receipt:
    return store.add("g", ["d"], embeddings(1), with_labels=True, operation=ONE)


def test_nothing_was_done_before(store: GalleryStore) -> None:
    assert store.answered(ONE) is None
    assert store.answered(ONE, with_labels=True) is None


def test_with_and_without_labels(store: GalleryStore) -> None:
    receipt = add(store)
    assert store.answered(ONE, with_labels=True) == receipt
    assert store.answered(ONE) == Receipt([3], 4, None, "g", "a note")
    assert add(store) == receipt


def test_labels_are_those_of_then_that_are_left(store: GalleryStore) -> None:
    add(store)
    store.add("g", ["later"], embeddings(1), with_labels=False)
    store.remove("g", [0], with_labels=False)
    answer = store.answered(ONE, with_labels=True)
    assert answer == Receipt([3], 4, {1: "b", 2: "c", 3: "d"}, "g", "a note")


def test_another_digest_is_refused(store: GalleryStore) -> None:
    add(store)
    for with_labels in (False, True):
        with pytest.raises(OperationReusedError):
            store.answered(Operation("one", "other"), with_labels=with_labels)
