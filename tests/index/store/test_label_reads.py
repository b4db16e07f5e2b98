"""Whoever wants labels reads no embedding where they are plain, on both databases: it is most of a
row."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import event, select

from serve_app.index.store import GalleryStore
from serve_app.index.store.job_store import JobStore
from serve_app.index.store.people_store import PeopleStore
from serve_app.index.store.schema import template
from serve_app.index.store.sealed_rows import LABELS
from tests.index.samples import build, embeddings, info_of
from tests.index.staged_rows import HOLDER, begun, row, settled

PLAIN_AND_SEALED = True


@contextmanager
def asked(store: GalleryStore) -> Iterator[list[str]]:
    """Its SELECTs of templates."""
    seen: list[str] = []

    def see(*arguments: Any) -> None:
        text = str(arguments[2])
        if text.startswith("SELECT") and "FROM template" in text:
            seen.append(" ".join(text.split()))

    event.listen(store._engine, "before_cursor_execute", see)
    yield seen
    event.remove(store._engine, "before_cursor_execute", see)


def columns(query: str) -> str:
    return query.partition(" FROM ")[0]


def test_a_plain_row_comes_without_its_embedding(any_store: GalleryStore, sealed: bool) -> None:
    build(any_store)
    query = select(*LABELS).order_by(template.c.id)
    rows = any_store.transactions.query(lambda connection: connection.execute(query).all())
    assert [row.embedding is not None for row in rows] == [sealed] * 3
    assert [row.label for row in rows] == ([None] * 3 if sealed else ["0", "1", "2"])


@pytest.mark.parametrize("what", ["receipt", "templates", "removal", "held", "sources"])
def test_labels_are_read_by_themselves(any_store: GalleryStore, what: str) -> None:
    build(any_store)
    jobs = JobStore(any_store)
    begun(jobs, key="new")
    jobs.stage("job", HOLDER, settled([row(0)]), keep_sources=True)
    info = info_of(any_store)
    with asked(any_store) as seen:
        match what:
            case "receipt":
                told = any_store.add("staff", ["3"], embeddings(1), with_labels=True)
                assert told.labels == {number: str(number) for number in range(4)}
            case "templates":
                assert [each.label for each in any_store.templates(info, "1", -1, 9)] == ["1"]
            case "removal":
                assert PeopleStore(any_store).erase("", "1").erased[0].count == 1
            case "held":
                assert len(PeopleStore(any_store).held("", "1").templates) == 1
            case "sources":
                assert len(jobs.sources(jobs.staged(jobs.job("job")), -1, 9)) == 1
    assert seen
    assert not [one for one in seen if "template.embedding," in columns(one)]
