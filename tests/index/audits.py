"""What tests ask of the audit log, and what an attacker would do to it past its triggers."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Engine, text

from serve_app.audit_rows import AuditQuery, AuditRow
from serve_app.index.store import GalleryStore
from serve_app.index.store.audit_store import AuditStore


def audited(store: GalleryStore, key: str = "staff") -> list[AuditRow]:
    """The rows of a gallery, by number; the chain that they make is whole."""
    log = AuditStore(store)
    rows = sorted(log.page(AuditQuery(chain=key)), key=lambda row: row.number)
    assert [row.number for row in rows] == list(range(len(rows)))
    assert log.verify() == ([], len(log.page(AuditQuery(limit=1_000_000))))
    return rows


def actions(store: GalleryStore, key: str = "staff") -> list[tuple[str, str, str, int]]:
    """Action, result, ids and count of each row."""
    return [(row.action, row.result, row.ids, row.count) for row in audited(store, key)]


def tamper(engine: Engine, statements: Sequence[str]) -> None:
    """As the database's owner can: the triggers are switched off."""
    with engine.begin() as connection:
        if engine.dialect.name == "postgresql":
            connection.execute(text("ALTER TABLE audit DISABLE TRIGGER ALL"))
        else:
            triggers = connection.execute(
                text("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'")
            ).all()
            for name, _ in triggers:
                connection.execute(text(f"DROP TRIGGER {name}"))
        for statement in statements:
            connection.execute(text(statement))
        if engine.dialect.name == "postgresql":
            connection.execute(text("ALTER TABLE audit ENABLE TRIGGER ALL"))
        else:
            for _, sql in triggers:
                connection.exec_driver_sql(sql)
