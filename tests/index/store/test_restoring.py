"""A gallery from a copy: whole, or as if nothing had been tried; on both databases."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from serve_app.errors import GalleryExistsError, UnavailableError
from serve_app.index.copies.parts import Beginning, CopiedRows, Ending, KeptAnswer, Part
from serve_app.index.records import TemplateRows
from serve_app.index.store import GalleryStore
from serve_app.types import GalleryEntry, GalleryInfo, Metric, Operation
from tests.index.databases import both, new_url
from tests.index.samples import MODEL, build, embeddings, vectors


@pytest.fixture
def target(database: str, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[GalleryStore]:
    store = GalleryStore(new_url(database, request, tmp_path))
    yield store
    store.close()


def rows(*ids: int, added: int = 1) -> CopiedRows:
    found = vectors(len(ids)).reshape(len(ids), 8)
    return CopiedRows(TemplateRows(list(ids), [str(i) for i in ids], found), [added] * len(ids))


def entry(size: int, next_id: int, seq: int = 9) -> GalleryEntry:
    info = GalleryInfo("old", "old", seq, "HNSW32", Metric.L2, 8, MODEL, size, next_id)
    return GalleryEntry(info, 100.0, 200.0)


def answer(name: str = "mine", seq: int = 9) -> KeptAnswer:
    return KeptAnswer(name, "digest", seq, "[4]", 3, "note", 150.0)


def whole() -> Iterator[Part]:
    yield Beginning(entry(0, 0))
    yield rows(1, 2, 3)
    yield Ending(entry(3, 7), [2], rows(4, added=5), [answer()])


@both
def test_ids_seq_times_and_answers_are_kept(target: GalleryStore) -> None:
    info = target.restore("new", whole)
    assert target.describe(["new"]) == {"new": info}
    found = target.entry("new")
    assert (found.created_at, found.changed_at) == (100.0, 200.0)
    assert (info.seq, info.size, info.next_id, info.index_type) == (9, 3, 7, "HNSW32")
    page = target.copied_page(info, -1, 10)
    assert (page.templates.ids, page.added) == ([1, 3, 4], [1, 1, 5])
    np.testing.assert_array_equal(page.templates.vectors[:2], vectors(3)[[0, 2]])
    receipt = target.answered(Operation("mine", "digest"))
    assert receipt is not None
    assert (receipt.ids, receipt.count, receipt.key, receipt.note) == ([4], 3, "new", "note")
    assert target.add("new", ["x"], embeddings(1), with_labels=False).ids == [7]
    assert target.describe(["new"])["new"].seq == 10


@both
def test_a_repeated_operation_answers_with_the_labels_of_then(target: GalleryStore) -> None:
    def copied() -> Iterator[Part]:
        yield Beginning(entry(0, 0))
        yield rows(0, 1, added=1)
        yield rows(2, added=2)
        yield Ending(entry(3, 3, seq=2), [], rows(), [answer(seq=1)])

    target.restore("new", copied)
    operation = Operation("mine", "digest")
    again = target.add("new", ["x"], embeddings(1), with_labels=True, operation=operation)
    assert again.labels == {0: "0", 1: "1"}


@both
def test_a_second_beginning_forgets_what_came_before(target: GalleryStore) -> None:
    def copied() -> Iterator[Part]:
        yield Beginning(entry(0, 0))
        yield rows(1, 2, 3)
        yield from whole()

    assert target.restore("new", copied).size == 3
    assert len(target.galleries("", 10)) == 1


@both
def test_half_a_copy_leaves_nothing(target: GalleryStore) -> None:
    build(target, "other")

    def without_end() -> Iterator[Part]:
        yield Beginning(entry(3, 3))
        yield rows(0, 1, 2)

    def too_few() -> Iterator[Part]:
        yield Beginning(entry(3, 3))
        yield Ending(entry(3, 3), [], rows(0, 1))

    def beyond() -> Iterator[Part]:
        yield Beginning(entry(3, 3))
        yield Ending(entry(2, 3), [], rows(0, 3))

    def broken() -> Iterator[Part]:
        yield Beginning(entry(3, 3))
        yield rows(0, 1, 2)
        raise UnavailableError("the source is gone")

    for parts, message in (
        (without_end, "no end"),
        (too_few, "should have 3 templates, 2 came"),
        (beyond, "has a template 3, its next is 3"),
        (broken, "the source is gone"),
    ):
        for replace in (False, True):
            with pytest.raises(UnavailableError, match=message):
                target.restore("new", parts, replace=replace)
    with pytest.raises(UnavailableError, match="no end"):
        target.restore("other", without_end, replace=True)
    assert [each.info.key for each in target.galleries("", 10)] == ["other"]
    assert len(target.page(target.describe(["other"])["other"], -1, 10).ids) == 3


@both
def test_one_that_exists_is_replaced_only_if_asked(target: GalleryStore) -> None:
    asked = Operation("theirs")
    build(target, "new")
    target.add("new", ["x"], embeddings(1), with_labels=False, operation=asked)
    before = target.describe(["new"])
    with pytest.raises(GalleryExistsError, match="new"):
        target.restore("new", whole)
    assert target.describe(["new"]) == before
    info = target.restore("new", whole, replace=True)
    assert info.generation != before["new"].generation
    assert target.copied_page(info, -1, 10).templates.ids == [1, 3, 4]
    # What the old one did was not done to this one.
    assert target.answered(asked) is None
    assert target.changes(before["new"]) is None


@both
def test_its_answers_are_those_of_the_copy(target: GalleryStore) -> None:
    first = target.restore("new", whole)
    second = target.restore("new", whole, replace=True)
    assert first.generation != second.generation
    receipt = target.answered(Operation("mine", "digest"))
    assert receipt is not None
    assert receipt.ids == [4]
