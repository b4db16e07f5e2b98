"""Whatever is done to the audit log past its triggers is found, and where."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
from sqlalchemy import Engine, create_engine, text

from serve_app.audit_rows import FACTS, AuditQuery, AuditRow, ChainHead, digest_of
from serve_app.errors import InvalidRequestError
from serve_app.index.store import GalleryStore, verifying
from serve_app.index.store.audit_store import AuditStore
from serve_app.index.store.verifying import Complaint
from tests.index.audits import audited, tamper
from tests.index.samples import build, embeddings

ROWS = 8
DAY_S = 86_400


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    engine = create_engine(database_url)
    yield engine
    engine.dispose()


@pytest.fixture
def log(any_store: GalleryStore, monkeypatch: pytest.MonkeyPatch) -> AuditStore:
    """Two chains, one of ROWS rows; pages are shorter than that."""
    monkeypatch.setattr(verifying, "PAGE", 3)
    build(any_store)
    build(any_store, "guests")
    for _ in range(ROWS - 1):
        any_store.add("staff", ["x"], embeddings(1), with_labels=False)
    assert len(audited(any_store)) == ROWS
    return AuditStore(any_store)


def complaint(log: AuditStore, **kept: object) -> Complaint:
    (only,), _ = log.verify(**kept)  # type: ignore[arg-type]
    assert only.chain == "staff"
    assert log.verify("guests")[0] == []
    return only


@pytest.mark.parametrize("column", [name for name in FACTS if name not in ("chain", "number")])
@pytest.mark.parametrize("number", [0, 4, ROWS - 1])
def test_a_changed_column(log: AuditStore, engine: Engine, column: str, number: int) -> None:
    numeric = column in ("at", "seq", "count")
    value = f'"{column}" + 1' if numeric else "'other'"
    where = f"chain = 'staff' AND number = {number}"
    tamper(engine, [f'UPDATE audit SET "{column}" = {value} WHERE {where}'])
    found = complaint(log)
    assert found.number == number
    assert "was changed" in found.what


@pytest.mark.parametrize("number", [0, 4, ROWS - 1])
def test_a_changed_digest(log: AuditStore, engine: Engine, number: int) -> None:
    other = "digest = (SELECT digest FROM audit WHERE chain = 'guests')"
    tamper(engine, [f"UPDATE audit SET {other} WHERE chain = 'staff' AND number = {number}"])
    assert complaint(log).number == number


@pytest.mark.parametrize("number", [0, 4])
def test_a_row_that_is_missing(log: AuditStore, engine: Engine, number: int) -> None:
    tamper(engine, [f"DELETE FROM audit WHERE chain = 'staff' AND number = {number}"])
    found = complaint(log)
    assert (found.number, found.what) == (number, "is missing")


def test_rows_that_are_missing_at_the_end(log: AuditStore, engine: Engine) -> None:
    tamper(engine, ["DELETE FROM audit WHERE chain = 'staff' AND number >= 6"])
    found = complaint(log)
    assert (found.number, found.what) == (6, "to 7, the newest, are missing")


def test_rows_that_changed_places(log: AuditStore, engine: Engine) -> None:
    moves = ((3, 90), (5, 3), (90, 5))
    tamper(
        engine,
        [
            f"UPDATE audit SET number = {to} WHERE chain = 'staff' AND number = {number}"
            for number, to in moves
        ],
    )
    assert complaint(log).number == 3


def test_a_row_of_another_gallery(log: AuditStore, engine: Engine) -> None:
    tamper(
        engine,
        [
            "DELETE FROM audit WHERE chain = 'staff' AND number = 0",
            "UPDATE audit SET chain = 'staff' WHERE chain = 'guests'",
            "DELETE FROM audit_chain WHERE chain = 'guests'",
        ],
    )
    (only,), _ = log.verify()
    assert (only.chain, only.number) == ("staff", 0)


@pytest.mark.parametrize(
    ("change", "number", "what"),
    [
        ("next = next - 1", ROWS - 1, "beyond the head"),
        ("next = next + 1", ROWS, "are missing"),
        ("digest = before", ROWS - 1, "don't fit"),
        ("first = first + 1", 0, "older than the oldest row"),
        ("before = digest", 0, "was changed"),
    ],
)
def test_a_changed_head(
    log: AuditStore, engine: Engine, change: str, number: int, what: str
) -> None:
    tamper(engine, [f"UPDATE audit_chain SET {change} WHERE chain = 'staff'"])
    found = complaint(log)
    assert found.number == number
    assert what in found.what


def test_a_head_that_was_removed(log: AuditStore, engine: Engine) -> None:
    tamper(engine, ["DELETE FROM audit_chain WHERE chain = 'staff'"])
    assert "no head" in complaint(log).what


def test_rows_that_were_removed_with_a_head_moved_behind_them(
    log: AuditStore, engine: Engine
) -> None:
    """As a pruning does, which none may here."""
    heads = log.heads()
    tamper(
        engine,
        [
            "UPDATE audit_chain SET first = next, before = digest WHERE chain = 'staff'",
            "DELETE FROM audit WHERE chain = 'staff'",
        ],
    )
    removed = "to 7, the oldest, were removed, sooner than rows are kept here"
    for kept in ({}, {"against": heads}, {"against": heads, "keep_s": DAY_S}):
        found = complaint(log, **kept)
        assert (found.number, found.what) == (0, removed)
    assert log.verify(against=log.heads())[0] == []  # kept anew
    assert log.verify(keep_s=0)[0] == []
    older = [replace(head, next=3, digest=b"x" * 32) for head in heads if head.chain == "staff"]
    assert "sooner than" in complaint(log, against=older).what
    assert "sooner than" in complaint(log, against=older, keep_s=DAY_S).what
    ancient = [replace(head, at=1.0) for head in older]
    assert log.verify(against=ancient, keep_s=DAY_S)[0] == []


def test_a_beginning_cut_off_with_the_triggers_on(log: AuditStore, engine: Engine) -> None:
    heads = log.heads()
    before = "(SELECT digest FROM audit WHERE chain = 'staff' AND number = 2)"
    with engine.begin() as connection:
        for statement in (
            f"UPDATE audit_chain SET first = 3, before = {before} WHERE chain = 'staff'",
            "DELETE FROM audit WHERE chain = 'staff' AND number < 3",
        ):
            connection.execute(text(statement))
    for kept in ({}, {"against": heads}, {"against": heads, "keep_s": DAY_S}):
        found = complaint(log, **kept)
        assert (found.number, "to 2, the oldest, were removed" in found.what) == (0, True)
    old_enough = [replace(head, first_at=1.0) for head in heads]
    assert log.verify(against=old_enough, keep_s=DAY_S)[0] == []
    all_gone = [replace(head, first_at=1.0, next=3) for head in heads if head.chain == "staff"]
    assert complaint(log, against=all_gone, keep_s=DAY_S).number == 0


def written_anew(rows: list[AuditRow], before: bytes) -> list[str]:
    """Statements that give ``rows`` digests that fit, and the head too."""
    statements = []
    for row in rows:
        before = digest_of(before, row)
        value = _literal(before)
        where = f"chain = 'staff' AND number = {row.number}"
        statements.append(f"UPDATE audit SET actor = '{row.actor}', digest = {value} WHERE {where}")
    return [*statements, f"UPDATE audit_chain SET digest = {value} WHERE chain = 'staff'"]


def _literal(blob: bytes) -> str:
    return f"HEXHEX'{blob.hex()}'"


def on(engine: Engine, statements: list[str]) -> list[str]:
    """With literals as the database writes them."""
    sqlite = engine.dialect.name == "sqlite"
    return [one.replace("HEXHEX'", "X'" if sqlite else "'\\x") for one in statements]


def test_a_chain_written_anew_is_found_by_what_was_kept_elsewhere(
    log: AuditStore, any_store: GalleryStore, engine: Engine
) -> None:
    heads = log.heads()
    rows = audited(any_store)
    forged = [replace(row, actor="innocent") for row in rows[4:]]
    tamper(engine, on(engine, written_anew(forged, rows[3].digest)))
    assert log.verify()[0] == []  # no key is in the digests: whoever may write can do this
    found = complaint(log, against=heads)
    assert (found.number, "written anew" in found.what) == (ROWS - 1, True)
    any_store.add("staff", ["x"], embeddings(1), with_labels=False)
    assert complaint(log, against=heads).number == ROWS - 1


def test_an_end_cut_off_with_its_head(log: AuditStore, engine: Engine) -> None:
    heads = log.heads()
    (digest,) = [row.digest for row in log.page(AuditQuery(chain="staff")) if row.number == 4]
    tamper(
        engine,
        on(
            engine,
            [
                "DELETE FROM audit WHERE chain = 'staff' AND number > 4",
                f"UPDATE audit_chain SET next = 5, digest = {_literal(digest)} "
                "WHERE chain = 'staff'",
            ],
        ),
    )
    assert log.verify()[0] == []
    found = complaint(log, against=heads)
    assert (found.number, found.what) == (5, "to 7 were cut off since the head was kept")


def test_a_chain_that_is_gone(log: AuditStore, engine: Engine) -> None:
    heads = log.heads()
    tamper(
        engine,
        [
            "DELETE FROM audit WHERE chain = 'staff'",
            "DELETE FROM audit_chain WHERE chain = 'staff'",
        ],
    )
    assert log.verify()[0] == []
    assert complaint(log, against=heads).number == 0


def test_heads_kept_elsewhere_fit_a_chain_that_grew(
    log: AuditStore, any_store: GalleryStore
) -> None:
    heads = log.heads()
    any_store.add("staff", ["x"], embeddings(1), with_labels=False)
    assert log.verify(against=heads) == ([], ROWS + 2)
    assert log.verify("staff", heads) == ([], ROWS + 1)
    with pytest.raises(InvalidRequestError, match="no audit log"):
        log.verify("nothing", heads)
    kept_only = ChainHead("nothing", 1, b"x" * 32)
    assert [one.chain for one in log.verify("nothing", [kept_only])[0]] == ["nothing"]
    newest = max(row.at for row in audited(any_store))
    staff = {head.chain: head for head in log.heads()}["staff"]
    rows = audited(any_store)
    assert staff == ChainHead("staff", ROWS + 1, rows[-1].digest, newest, 0, rows[0].at)
