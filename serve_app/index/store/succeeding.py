"""A gallery that was embedded anew takes over what happened to the old one meanwhile. Functions of
a connection."""

from __future__ import annotations

import time
from typing import Any

from sqlalchemy import Connection, Row, select

from serve_app.errors import GalleryMismatchError
from serve_app.index.records import Moment
from serve_app.index.store.forgetting import clear_templates
from serve_app.index.store.schema import gallery, template
from serve_app.index.store.writing import change_gallery


def take_over(
    connection: Connection, target: Row[Any] | None, new: Row[Any], since: Moment
) -> Row[Any]:
    """``new``, without what was removed from ``target`` after ``since``, and giving none of its ids
    again. Both are locked.

    Raises GalleryMismatchError if the gallery was replaced, or something was added to it: there is
    no embedding of that by the new model.
    """
    if target is None or target.generation != since.generation or _added(connection, since):
        raise GalleryMismatchError(
            "the gallery was added to or replaced after its images were listed: embed it anew again"
        )
    gone = _ids(new).except_(_ids(target))
    ids = sorted(connection.execute(gone).scalars())
    removed = clear_templates(connection, new.generation, ids, new.seq + 1)
    changed: dict[str, Any] = {"next_id": max(new.next_id, target.next_id)}
    if removed:
        # Replicas that have read it already are told, and its index is built without them.
        seq = new.seq + 1
        changed |= {"size": new.size - len(removed), "seq": seq}
        changed |= {"removed_seq": seq, "removed_at": time.time()}
    change_gallery(connection, new, **changed)
    return connection.execute(select(gallery).where(gallery.c.id == new.id)).one()


def _added(connection: Connection, since: Moment) -> bool:
    query = select(template.c.id).where(
        template.c.generation == since.generation,
        template.c.added_seq > since.seq,
        template.c.removed_seq.is_(None),
    )
    return connection.execute(query.limit(1)).first() is not None


def _ids(row: Row[Any]) -> Any:
    """Of what is in a gallery."""
    return select(template.c.id).where(
        template.c.generation == row.generation, template.c.removed_seq.is_(None)
    )
