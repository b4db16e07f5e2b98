"""What is removed takes with it what would bring it back, or tell of it; on both databases."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from serve_app.errors import GalleryNotFoundError, InvalidRequestError
from serve_app.index.copies.parts import parts
from serve_app.index.mutations import Drop, RemoveLabel
from serve_app.index.store import GalleryStore
from serve_app.index.store.forgetting import previous_key
from serve_app.index.store.job_store import JobStore
from serve_app.policy import check_key
from serve_app.types import JobMode, Metric
from tests.index.busy import embeddings_of
from tests.index.samples import build, info_of, labels_of
from tests.index.staged_rows import new, published

Removal = Callable[[GalleryStore], object]


def by_id(store: GalleryStore) -> object:
    return store.remove("staff", [1], with_labels=False)


def by_label(store: GalleryStore) -> object:
    return store.do(RemoveLabel("staff", "new 1"))


def whole(store: GalleryStore) -> object:
    return store.do(Drop("staff"))


def by_restoring(store: GalleryStore) -> object:
    build(store, "copy")
    return store.restore("staff", lambda: parts(store, "copy"), replace=True)


every_removal = pytest.mark.parametrize("remove", [by_id, by_label, whole, by_restoring])


def has_previous(store: GalleryStore) -> bool:
    try:
        JobStore(store).previous("staff")
    except GalleryNotFoundError:
        return False
    return True


def test_no_user_gives_such_a_key() -> None:
    with pytest.raises(InvalidRequestError, match="gallery key"):
        check_key(previous_key("staff"))


@every_removal
def test_no_way_back_after_a_removal(any_store: GalleryStore, remove: Removal) -> None:
    """Who was removed may be in what was replaced."""
    build(any_store)
    generation = info_of(any_store).generation
    published(any_store, mode=JobMode.REPLACE)
    assert has_previous(any_store)
    remove(any_store)
    assert not has_previous(any_store)
    assert any_store.of_generation(generation) is None
    with pytest.raises(GalleryNotFoundError):
        JobStore(any_store).rollback("staff", generation)


def test_a_removal_that_removes_nothing_keeps_it(any_store: GalleryStore) -> None:
    build(any_store)
    build(any_store, "guests")
    published(any_store, mode=JobMode.REPLACE)
    any_store.remove("staff", [99], with_labels=False)
    any_store.remove("guests", [0], with_labels=False)
    any_store.add("staff", ["x"], embeddings_of(["x"]), with_labels=False)
    assert has_previous(any_store)


@pytest.mark.parametrize("remove", [by_id, by_label])
def test_sources_go_with_their_templates(any_store: GalleryStore, remove: Removal) -> None:
    info = published(any_store, keep_sources=True)
    remove(any_store)
    assert labels_of(any_store) == {0: "new 0", 2: "new 2"}
    left = JobStore(any_store).sources(info, -1, 9)
    assert left == [(0, "/photos/0.jpg", "new 0"), (2, "/photos/2.jpg", "new 2")]


def test_all_sources_go_with_the_gallery(any_store: GalleryStore) -> None:
    info = published(any_store, keep_sources=True)
    any_store.do(Drop("staff"))
    assert JobStore(any_store).sources(info, -1, 9) == []


@every_removal
@pytest.mark.usefixtures("journal")
def test_on_the_disk_too(url: str, file: Path, remove: Removal) -> None:
    """Of what was replaced nothing is left; of the removed template neither its path."""
    store = GalleryStore(url)
    labels = [f"someone-{number}" for number in range(200)]
    old = embeddings_of(labels)
    store.create("staff", "Flat", Metric.IP, labels, old, with_labels=False)
    published(store, mode=JobMode.REPLACE, keep_sources=True)
    marks = [b"someone-", *(vector.tobytes() for vector in old.vectors)]

    def found() -> list[bytes]:
        content = b"".join(path.read_bytes() for path in file.parent.iterdir())
        return [mark for mark in marks if mark in content]

    assert len(found()) == len(marks)
    marks += [b"/photos/1.jpg"]
    remove(store)
    assert found() == []
    store.close()


def test_restoring_beside_keeps_it(any_store: GalleryStore) -> None:
    build(any_store)
    published(any_store, mode=JobMode.REPLACE)
    any_store.restore("other", lambda: parts(any_store, "staff"))
    assert has_previous(any_store)
    assert labels_of(any_store, "other") == new(3)
