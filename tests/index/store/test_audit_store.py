"""Asking and retention, on both databases."""

from __future__ import annotations

import time

import pytest
from sqlalchemy import create_engine, text

from serve_app.audit_rows import AuditQuery, AuditRow
from serve_app.index.store import GalleryStore
from serve_app.index.store.audit_store import AuditStore
from tests.index.audits import audited
from tests.index.samples import build, embeddings

HOUR_S = 3600.0


class Clock:
    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = time.time()
        monkeypatch.setattr(time, "time", lambda: self.now)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


@pytest.fixture
def log(any_store: GalleryStore, clock: Clock) -> AuditStore:
    """Chains a, t/b and t/c, five rows each, an hour between the rounds; the newest now."""
    now, clock.now = clock.now, clock.now - 4 * HOUR_S
    for key in ("a", "t/b", "t/c"):
        build(any_store, key)
    for _ in range(4):
        clock.now = min(clock.now + HOUR_S, now)
        for key in ("t/c", "t/b", "a"):
            any_store.add(key, ["x"], embeddings(1), with_labels=False)
    clock.now = now
    return AuditStore(any_store)


def test_pages(log: AuditStore) -> None:
    rows = list(log.rows(AuditQuery(limit=4)))
    assert len(rows) == 15
    order = [(row.at, row.chain, row.number) for row in rows]
    assert order == sorted(order)
    assert {row.chain for row in log.rows(AuditQuery(tenant="t", limit=2))} == {"t/b", "t/c"}
    assert {row.tenant for row in log.rows(AuditQuery(tenant=""))} == {""}
    assert [row.number for row in log.rows(AuditQuery(chain="t/b", limit=1))] == [*range(5)]


def test_of_a_time(log: AuditStore, clock: Clock) -> None:
    asked = AuditQuery(
        chain="a", since=clock.now - 2.5 * HOUR_S, until=clock.now - 0.5 * HOUR_S, limit=1
    )
    assert [row.number for row in log.rows(asked)] == [2, 3]
    exact = audited(log._store, "a")[2].at
    assert log.page(AuditQuery(chain="a", since=exact))[0].number == 2
    assert log.page(AuditQuery(chain="a", until=exact))[-1].number == 1


def test_what_is_pruned_is_gone_and_the_rest_still_fits(
    log: AuditStore, any_store: GalleryStore, clock: Clock
) -> None:
    heads = log.heads()
    assert log.prune(2.5 * HOUR_S) == 6
    assert log.prune(2.5 * HOUR_S) == 0
    assert [row.number for row in log.rows(AuditQuery(chain="a"))] == [2, 3, 4]
    assert log.verify(against=heads, keep_s=2.5 * HOUR_S) == ([], 9)
    assert len(log.verify(against=heads)[0]) == len(log.verify()[0]) == 3  # none may be
    assert log.verify(against=log.heads()) == ([], 9)
    clock.now += HOUR_S
    any_store.add("a", ["x"], embeddings(1), with_labels=False)
    assert log.verify(against=heads, keep_s=2.5 * HOUR_S) == ([], 10)


def test_all_may_be_pruned(log: AuditStore, any_store: GalleryStore) -> None:
    heads = log.heads()
    assert log.prune(-1) == 15
    assert log.verify(against=heads, keep_s=-1) == ([], 0)
    assert [(head.next, head.at) for head in log.heads()] == [(5, None)] * 3
    assert [head.digest for head in log.heads()] == [head.digest for head in heads]
    any_store.add("a", ["x"], embeddings(1), with_labels=False)
    assert [row.number for row in log.rows(AuditQuery(chain="a"))] == [5]
    assert log.verify(against=heads, keep_s=-1) == ([], 1)


def test_a_young_row_keeps_the_older_ones_after_it(
    log: AuditStore, any_store: GalleryStore, clock: Clock
) -> None:
    """A clock that was wrong: rows go from the beginning on only."""
    now, clock.now = clock.now, clock.now - 10 * HOUR_S
    any_store.add("a", ["x"], embeddings(1), with_labels=False)
    clock.now = now
    assert log.prune(2.5 * HOUR_S) == 6
    assert [row.number for row in audited_from(log, "a")] == [2, 3, 4, 5]
    assert log.verify(keep_s=2.5 * HOUR_S)[0] == []


def audited_from(log: AuditStore, chain: str) -> list[AuditRow]:
    return sorted(log.page(AuditQuery(chain=chain)), key=lambda row: row.number)


def test_what_retention_keeps_can_still_not_be_removed(
    log: AuditStore, any_store: GalleryStore, database_url: str
) -> None:
    log.prune(2.5 * HOUR_S)
    engine = create_engine(database_url)
    with pytest.raises(Exception, match="append-only"), engine.begin() as connection:
        connection.execute(text("DELETE FROM audit WHERE number = 2"))
    engine.dispose()


def test_verified_while_it_is_written_and_pruned(any_store: GalleryStore) -> None:
    build(any_store, count=0)
    log = AuditStore(any_store)
    for _ in range(20):
        any_store.add("staff", ["x"], embeddings(1), with_labels=False)
        assert log.verify(keep_s=-1)[0] == []
        if log.heads()[0].next % 7 == 0:
            log.prune(-1)
