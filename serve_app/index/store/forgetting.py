"""What goes with a removal besides the template's row. Functions of a connection."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, delete

from serve_app.index.store.schema import PREVIOUS, gallery, template_source


def previous_key(key: str) -> str:
    """The key of what was replaced: no user's key has a colon."""
    return f"{PREVIOUS}:{key}"


def forget_previous(connection: Connection, key: str) -> None:
    """No rollback of ``key`` any more: what is removed from a gallery must not come back by one."""
    connection.execute(delete(gallery).where(gallery.c.key == previous_key(key)))


def forget_sources(connection: Connection, generation: str, ids: Sequence[int]) -> None:
    """Where the images of removed templates were: a path tells as much as a label."""
    connection.execute(
        delete(template_source).where(
            template_source.c.generation == generation, template_source.c.id.in_(ids)
        )
    )
