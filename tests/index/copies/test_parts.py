"""A gallery in parts: one moment of it, whatever happens meanwhile."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from serve_app.errors import GalleryNotFoundError, UnavailableError
from serve_app.index.copies.parts import BEGINNINGS, Beginning, CopiedRows, Ending, Part, parts
from serve_app.index.mutations import Drop
from serve_app.index.store import GalleryStore
from serve_app.types import GalleryInfo
from tests.index.samples import build, embeddings


class Disturbed:
    """The store, and what somebody else does after each page."""

    def __init__(self, store: GalleryStore, disturb: Callable[[], object]) -> None:
        self.entry = store.entry
        self.copied_ending = store.copied_ending
        self._store = store
        self._disturb = disturb

    def copied_page(self, info: GalleryInfo, after_id: int, limit: int) -> CopiedRows:
        page = self._store.copied_page(info, after_id, limit)
        self._disturb()
        return page


def in_turn(steps: Iterator[Callable[[], object]]) -> Callable[[], object]:
    """One step a call, then nothing."""

    def take() -> object:
        step = next(steps, None)
        return None if step is None else step()

    return take


def ids_of(copied: list[Part]) -> list[int]:
    """As whoever puts the parts together again has to."""
    ids: list[int] = []
    for part in copied:
        match part:
            case Beginning():
                ids = []
            case CopiedRows(templates=templates):
                ids += templates.ids
            case Ending(removed=removed, late=late):
                ids = [number for number in ids if number not in removed] + late.templates.ids
    return ids


def test_pages_of_a_quiet_gallery(store: GalleryStore) -> None:
    build(store, count=5)
    store.remove("staff", [1], with_labels=False)
    copied = list(parts(store, "staff", page=2))
    assert [type(part) for part in copied] == [Beginning, CopiedRows, CopiedRows, Ending]
    assert ids_of(copied) == [0, 2, 3, 4]


def test_what_happens_meanwhile_is_in_the_ending(store: GalleryStore) -> None:
    build(store, count=6)
    steps = iter(
        [
            lambda: store.remove("staff", [0, 5], with_labels=False),  # seen already, and not yet
            lambda: store.add("staff", ["new"], embeddings(1), with_labels=False),
            lambda: store.remove("staff", [2], with_labels=False),
        ]
    )
    disturbed = Disturbed(store, in_turn(steps))
    copied = list(parts(disturbed, "staff", page=2))
    assert ids_of(copied) == [1, 3, 4, 6]
    ending = copied[-1]
    assert isinstance(ending, Ending)
    assert (ending.entry.info.seq, ending.entry.info.size, ending.entry.info.next_id) == (4, 4, 7)


def test_a_gallery_built_anew_is_begun_again(store: GalleryStore) -> None:
    build(store, count=5)
    steps = iter([lambda: store.do(Drop("staff")) and build(store, count=2)])
    disturbed = Disturbed(store, in_turn(steps))
    copied = list(parts(disturbed, "staff", page=10))
    assert sum(isinstance(part, Beginning) for part in copied) == 2
    assert ids_of(copied) == [0, 1]


def test_pruned_tombstones_begin_it_again(store: GalleryStore) -> None:
    build(store, count=5)

    def forget() -> None:
        store.remove("staff", [1], with_labels=False)
        store.prune(answers_s=0, tombstones=0)

    steps = iter([forget])
    copied = list(parts(Disturbed(store, in_turn(steps)), "staff"))
    assert ids_of(copied) == [0, 2, 3, 4]


def test_one_that_is_always_built_anew_is_given_up(store: GalleryStore) -> None:
    build(store, count=2)

    def again() -> None:
        store.do(Drop("staff"))
        build(store, count=2)

    copied: list[Part] = []
    with pytest.raises(UnavailableError, match="staff was built anew"):
        copied.extend(parts(Disturbed(store, again), "staff"))
    assert BEGINNINGS > 1


def test_a_gallery_that_is_gone(store: GalleryStore) -> None:
    build(store)
    with pytest.raises(GalleryNotFoundError):
        list(parts(Disturbed(store, lambda: store.do(Drop("staff"))), "staff"))


def test_what_comes_after_the_last_page_is_late(store: GalleryStore) -> None:
    build(store, count=2)
    steps = iter(
        [
            lambda: None,
            lambda: store.add("staff", ["x", "y"], embeddings(2), with_labels=False),
        ]
    )
    copied = list(parts(Disturbed(store, in_turn(steps)), "staff"))
    ending = copied[-1]
    assert isinstance(ending, Ending)
    assert ending.late.templates.labels == ["x", "y"]
    assert ids_of(copied) == [0, 1, 2, 3]
