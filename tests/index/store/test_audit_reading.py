from __future__ import annotations

from sqlalchemy import create_engine

from serve_app.index.store import GalleryStore, audit_reading
from serve_app.index.store.audit_store import AuditStore
from tests.index.audits import audited, tamper
from tests.index.samples import build, embeddings, info_of


def test_when_templates_were_added(any_store: GalleryStore) -> None:
    build(any_store)
    any_store.add("staff", ["x"], embeddings(1), with_labels=False)
    any_store.remove("staff", [0], with_labels=False)
    generation = info_of(any_store).generation
    rows = audited(any_store)

    def times(key: str, of: str) -> dict[int, float]:
        return any_store.transactions.query(
            lambda connection: audit_reading.times(connection, key, of, {1, 2, 3, 4})
        )

    assert times("staff", generation) == {1: rows[0].at, 2: rows[1].at}
    assert times("guests", generation) == {}
    assert times("staff", "another") == {}


def test_every_chain_is_found_by_its_head_or_by_its_rows(
    any_store: GalleryStore, database_url: str
) -> None:
    for key in ("a", "b", "c"):
        build(any_store, key)
    engine = create_engine(database_url)
    tamper(
        engine,
        ["DELETE FROM audit WHERE chain = 'a'", "DELETE FROM audit_chain WHERE chain = 'b'"],
    )
    engine.dispose()
    assert any_store.transactions.query(audit_reading.chains) == ["a", "b", "c"]
    log = AuditStore(any_store)
    assert [head.chain for head in log.heads()] == ["a", "c"]
    assert [(head.chain, head.next) for head in log.heads("c")] == [("c", 1)]
    assert log.heads("b") == []
