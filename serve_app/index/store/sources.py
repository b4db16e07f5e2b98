"""Where templates' images were, if a job was asked to keep that. Functions of a connection."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Row, insert, select

from serve_app.encryption.pairs import Kind
from serve_app.index.store.schema import template, template_source
from serve_app.index.store.sealed_rows import LABELS, labels_of, seal_texts, texts_opener
from serve_app.types import GalleryInfo


def keep_sources(
    connection: Connection, row: Row[Any], ids: Sequence[int], sources: Sequence[str]
) -> None:
    """Of templates with ``ids`` in the gallery of ``row``."""
    if not ids:
        return
    sealed = seal_texts(
        connection, row.key, Kind.SOURCE, row.generation, ids, sources, [""] * len(ids)
    )
    connection.execute(
        insert(template_source),
        [
            {"generation": row.generation, "id": number, "source": text, "key_version": version}
            for number, (text, _, version) in zip(ids, sealed, strict=True)
        ],
    )


def move_sources(
    connection: Connection, base: Row[Any], old: list[int], to: Row[Any], new: range
) -> None:
    """Those of templates ``old`` (ascending) of ``base`` are of ``new`` in ``to``, too."""
    query = select(template_source).where(
        template_source.c.generation == base.generation,
        template_source.c.id >= old[0],
        template_source.c.id <= old[-1],
    )
    numbers = dict(zip(old, new, strict=True))
    text = texts_opener(connection, base.key, Kind.SOURCE, base.generation)
    found = {
        numbers[row.id]: text(row.id, row.source, "", row.key_version)[0]
        for row in connection.execute(query).all()
    }
    keep_sources(connection, to, list(found), list(found.values()))


def sources(
    connection: Connection, info: GalleryInfo, after_id: int, limit: int
) -> list[tuple[int, str, str]]:
    """Id, source and label of up to ``limit`` templates whose source was kept, by id."""
    kept = template_source.c
    query = (
        select(*LABELS, kept.source, kept.key_version.label("source_version"))
        .join_from(
            template_source,
            template,
            (template.c.generation == kept.generation) & (template.c.id == kept.id),
        )
        .where(kept.generation == info.generation, kept.id > after_id)
        .order_by(kept.id)
        .limit(limit)
    )
    rows = connection.execute(query).all()
    labels = labels_of(connection, info.key, info.generation, rows)
    text = texts_opener(connection, info.key, Kind.SOURCE, info.generation)
    return [
        (row.id, text(row.id, row.source, "", row.source_version)[0], labels[row.id])
        for row in rows
    ]
