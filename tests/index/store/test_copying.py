"""What a copy reads: rows with the seq of their addition, and an ending at one moment."""

from __future__ import annotations

import pytest

from serve_app.errors import UnavailableError
from serve_app.index.mutations import Drop
from serve_app.index.store import GalleryStore
from serve_app.types import Operation
from tests.index.samples import build, embeddings, raw


def test_pages_say_when_templates_were_added(store: GalleryStore) -> None:
    build(store, count=3)
    store.add("staff", ["x"], embeddings(1), with_labels=False)
    store.remove("staff", [1], with_labels=False)
    info = store.describe(["staff"])["staff"]
    page = store.copied_page(info, -1, 2)
    assert (page.templates.ids, page.added) == ([0, 2], [1, 1])
    page = store.copied_page(info, 2, 2)
    assert (page.templates.ids, page.templates.labels, page.added) == ([3], ["x"], [2])
    assert store.copied_page(info, 3, 2).added == []


def test_the_ending_tells_what_pages_did_not(store: GalleryStore) -> None:
    build(store, count=3)
    info = store.describe(["staff"])["staff"]
    store.remove("staff", [1], with_labels=False)
    store.add("staff", ["x", "y"], embeddings(2), with_labels=False)
    store.remove("staff", [3], with_labels=False)
    ending = store.copied_ending(info, 2)
    assert ending is not None
    assert ending.removed == [1]
    assert (ending.late.templates.labels, ending.late.added) == (["y"], [3])
    assert (ending.entry.info.seq, ending.entry.info.size) == (4, 3)


def test_the_ending_has_kept_answers(store: GalleryStore) -> None:
    build(store, count=3)
    build(store, "others")
    info = store.describe(["staff"])["staff"]
    asked = Operation("mine", "digest", "note")
    store.add("staff", ["x"], embeddings(1), with_labels=False, operation=asked)
    ending = store.copied_ending(info, 2)
    assert ending is not None
    (answer,) = [each for each in ending.answers if each.id == "mine"]
    assert (answer.digest, answer.note, answer.seq, answer.count) == ("digest", "note", 2, 4)
    assert len(ending.answers) == 2  # with the build's, without the other gallery's


def test_there_is_no_ending_of_another_generation(store: GalleryStore) -> None:
    build(store)
    info = store.describe(["staff"])["staff"]
    store.do(Drop("staff"))
    assert store.copied_ending(info, 2) is None
    build(store)
    assert store.copied_ending(info, 2) is None


def test_damaged_rows_are_not_copied(store: GalleryStore) -> None:
    build(store)
    info = store.describe(["staff"])["staff"]
    assert store.file is not None
    with raw(store.file) as connection:
        connection.execute("UPDATE template SET label = 'Eve' WHERE id = 1")
    with pytest.raises(UnavailableError, match="damaged template"):
        store.copied_page(info, -1, 10)
