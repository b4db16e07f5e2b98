"""A whole erasure, also one that fails midway; exports are told before they are given."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, create_engine, text

from serve_app.errors import UnavailableError
from serve_app.held import Erased, Erasure, HeldPage, HeldPlace, Where
from serve_app.index.store import GalleryStore, auditing, label_erasing
from serve_app.index.store.job_store import JobStore
from serve_app.index.store.people_store import PeopleStore
from serve_app.types import Caller, JobMode
from tests.index.audits import actions, audited
from tests.index.samples import build, labels_of
from tests.index.spread import ANN, page, spread
from tests.index.staged_rows import HOLDER, begun, row, settled

PLAIN_AND_SEALED = True

BY = Caller(actor="k1", address="192.0.2.1")
EVERYWHERE = [
    Erased("staff", Where.SERVED, 1),
    Erased("guests", Where.SERVED, 2),
    Erased("third", Where.PREVIOUS, 1),
    Erased("fourth", Where.STAGED, 1, "three"),
    Erased("fourth", Where.INPUT, 2, "three"),
    Erased("third", Where.INPUT, 1, "one"),
]


@pytest.fixture
def people(any_store: GalleryStore) -> PeopleStore:
    spread(any_store)
    return PeopleStore(any_store)


def test_an_export_is_told(people: PeopleStore, any_store: GalleryStore) -> None:
    page = people.held("", ANN, by=BY)
    assert (len(page.templates), len(page.rows)) == (5, 3)
    assert actions(any_store)[-1] == ("export_label", "ok", "3", 1)
    assert actions(any_store, "guests")[-1] == ("export_label", "ok", "1,3", 2)
    assert actions(any_store, "fourth") == [
        ("export_label", "ok", "0", 1),
        ("export_label_rows", "ok", "", 2),
    ]
    rows = [audited(any_store, key)[-1] for key in ("staff", "guests", "third", "fourth")]
    assert {(row.actor, row.address) for row in rows} == {("k1", "192.0.2.1")}
    assert len({row.operation for row in rows}) == 1
    assert ANN not in repr(rows)


def test_what_nobody_has_is_not_told(people: PeopleStore, any_store: GalleryStore) -> None:
    before = audited(any_store)
    assert people.held("", "nobody", by=BY) == HeldPage([], [])
    assert people.erase("", "nobody", BY) == Erasure([], {}, ["three"])
    assert audited(any_store) == before


def test_no_export_without_its_row(people: PeopleStore, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*args: object, **kwargs: object) -> None:
        raise UnavailableError("broken off")

    monkeypatch.setattr(auditing, "write", fail)
    with pytest.raises(UnavailableError):
        people.held("", ANN, by=BY)


def test_pages(people: PeopleStore, any_store: GalleryStore) -> None:
    first = people.held("", ANN, limit=2, by=BY)
    assert [one.key for one in first.templates] == ["staff", "guests"]
    second = people.held("", ANN, first.next, 2, embeddings=True, by=BY)
    assert [one.id for one in second.templates] == [3, 0]
    assert second.templates[0].embedding
    assert [row.ids for row in audited(any_store, "guests")[-2:]] == ["1", "3"]
    assert isinstance(second.next, HeldPlace)


def test_an_erasure(people: PeopleStore, any_store: GalleryStore) -> None:
    done = people.erase("", ANN, BY)
    assert done == Erasure(EVERYWHERE, {}, ["three"])
    assert page(any_store) == HeldPage([], [])
    assert people.erase("", ANN, BY) == Erasure([], {}, ["three"])
    rows = [audited(any_store, key)[-1] for key in ("staff", "guests", "third", "fourth")]
    assert {row.actor for row in rows} == {"k1"}
    assert len({row.operation for row in rows}) == 1
    # Another tenant's is another's.
    assert labels_of(any_store, "acme/staff") == {0: "0", 1: ANN, 2: "bob", 3: ANN}
    assert people.erase("acme", ANN, BY).erased == [Erased("acme/staff", Where.SERVED, 2)]


def test_an_erasure_that_fails_midway(
    people: PeopleStore, any_store: GalleryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    erase = label_erasing.erase_in_gallery

    def stumble(
        connection: Connection, key: str, label: str, by: Caller, operation: str
    ) -> list[Erased]:
        erased = erase(connection, key, label, by, operation)
        if key == "guests":
            raise UnavailableError("broken off")
        return erased

    monkeypatch.setattr(label_erasing, "erase_in_gallery", stumble)
    done = people.erase("", ANN, BY)
    assert done.failed == {"guests": "unavailable"}
    assert [one.key for one in done.erased] == ["staff", "third", "fourth", "fourth", "third"]
    assert [one.key for one in page(any_store).templates] == ["guests", "guests"]
    assert audited(any_store, "guests")[-1].action == "add"
    monkeypatch.undo()
    assert people.erase("", ANN, BY) == Erasure([EVERYWHERE[1]], {}, ["three"])


@pytest.mark.parametrize("mode", [JobMode.CREATE, JobMode.APPEND])
def test_a_job_that_publishes_meanwhile(
    any_store: GalleryStore, monkeypatch: pytest.MonkeyPatch, mode: JobMode
) -> None:
    if mode is JobMode.APPEND:
        build(any_store, count=1)
    jobs = JobStore(any_store)
    begun(jobs, mode=mode)
    jobs.stage("job", HOLDER, settled([row(0, ANN, digest=b"a"), row(1, "bob")]))
    read = any_store.transactions.read

    def read_then_publish(work: Any) -> Any:
        monkeypatch.undo()
        found = read(work)
        jobs.publish("job", HOLDER, "")
        return found

    monkeypatch.setattr(any_store.transactions, "read", read_then_publish)
    done = PeopleStore(any_store).erase("", ANN, BY)
    assert {(one.where, one.count) for one in done.erased} == {(Where.SERVED, 1), (Where.INPUT, 1)}
    assert page(any_store) == HeldPage([], [])
    assert "bob" in labels_of(any_store).values()


def test_a_damaged_gallery_keeps_none_from_the_others(
    people: PeopleStore, any_store: GalleryStore, database_url: str
) -> None:
    engine = create_engine(database_url)
    with engine.begin() as connection:
        connection.execute(text("UPDATE gallery SET crc = crc + 1 WHERE key = 'guests'"))
    engine.dispose()
    done = people.erase("", ANN, BY)
    assert done.failed == {"guests": "unavailable"}
    assert len(done.erased) == len(EVERYWHERE) - 1


@pytest.mark.usefixtures("journal")
def test_nothing_is_left_in_the_files(store: GalleryStore, file: Path) -> None:
    spread(store)
    PeopleStore(store).erase("acme", ANN)
    PeopleStore(store).erase("", ANN)
    files = [path for path in file.parent.iterdir() if path.name.startswith(file.name)]
    assert len(files) >= 1
    assert all(ANN.encode() not in path.read_bytes() for path in files)
