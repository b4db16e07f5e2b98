"""What goes with a removal besides the template's row. Functions of a connection."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, and_, delete, select, update

from serve_app.index.store.schema import PREVIOUS, gallery, template, template_source

IDS_A_STATEMENT = 500
"""Below the number of parameters that a statement of SQLite may have."""


def previous_key(key: str) -> str:
    """The key of what was replaced: no user's key has a colon."""
    return f"{PREVIOUS}:{key}"


def forget_previous(connection: Connection, key: str) -> None:
    """No rollback of ``key`` any more: what is removed from a gallery must not come back by one."""
    connection.execute(delete(gallery).where(gallery.c.key == previous_key(key)))


def clear_templates(
    connection: Connection, generation: str, wanted: Sequence[int], seq: int
) -> list[int]:
    """Remove ``wanted`` at ``seq``: no label and no embedding stays. The ids of those that were
    there, ascending where ``wanted`` is."""
    removed: list[int] = []
    for start in range(0, len(wanted), IDS_A_STATEMENT):
        part = wanted[start : start + IDS_A_STATEMENT]
        chosen = and_(
            template.c.generation == generation,
            template.c.id.in_(part),
            template.c.removed_seq.is_(None),
        )
        removed += connection.execute(
            select(template.c.id).where(chosen).order_by(template.c.id)
        ).scalars()
        connection.execute(
            update(template)
            .where(chosen)
            .values(removed_seq=seq, label=None, label_digest=None, embedding=None, crc=None)
        )
        forget_sources(connection, generation, part)
    return removed


def forget_sources(connection: Connection, generation: str, ids: Sequence[int]) -> None:
    """Where the images of removed templates were: a path tells as much as a label."""
    connection.execute(
        delete(template_source).where(
            template_source.c.generation == generation, template_source.c.id.in_(ids)
        )
    )
