"""Rows into values, where damage may have made anything of them: what can't be believed is an
UnavailableError, never a crash or a guess."""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

from serve_app.errors import UnavailableError
from serve_app.index.records import DAMAGED, TemplateRows, gallery_info, template_rows
from serve_app.index.store.schema import HIDDEN, READY
from serve_app.types import GalleryInfo

CHECKED = (
    "key", "generation", "index_type", "metric", "dimension", "model_id", "next_id", "size", "seq",
    "floor_seq",
)  # fmt: skip
"""Facts of a gallery that its check is of: one changed bit of a seq would hide changes."""

UNREADABLE = "the gallery store holds a damaged gallery: restore a backup"


def read_templates(rows: Sequence[Any], dimension: int) -> TemplateRows:
    """Live templates from rows (id, label, embedding, crc). Raises UnavailableError.

    SQLite keeps a value's type beside it: one bit makes a number a text, or a check no check.
    """
    if any(row[3] is None for row in rows):  # the migrations have filled in all
        raise UnavailableError(DAMAGED)
    try:
        return template_rows(rows, dimension)
    except (AttributeError, TypeError):
        raise UnavailableError(DAMAGED) from None


def read_page(rows: Sequence[Any], dimension: int, after_id: int) -> TemplateRows:
    """As ``read_templates``, of rows that were asked for by ascending id, above ``after_id``.

    A damaged page of SQLite may answer with what lies elsewhere: whoever asks for the next page
    after its last id would read the same again, without end. Raises UnavailableError.
    """
    page = read_templates(rows, dimension)
    if any(number <= before for before, number in pairwise([after_id, *page.ids])):
        raise UnavailableError(DAMAGED)
    return page


def check_of_gallery(facts: Mapping[str, Any]) -> int:
    """CRC-32 of a row of the table ``gallery``, written whenever one of ``CHECKED`` is."""
    return zlib.crc32(json.dumps([facts[name] for name in CHECKED]).encode())


def read_gallery(row: Any, snapshot: str | None = None) -> GalleryInfo:
    """The facts in a row of the table ``gallery``. Raises UnavailableError."""
    texts = (row.key, row.generation, row.index_type, row.metric, row.model_id)
    numbers = (row.seq, row.dimension, row.size, row.next_id, row.floor_seq)
    upkeep = (row.removed_seq, row.removed_at, row.wanted_seq, row.created_at, row.changed_at)
    if not (
        all(isinstance(text, str) for text in texts)
        and all(isinstance(number, int) and number >= 0 for number in numbers)
        and all(isinstance(number, int | float) for number in upkeep)
        and row.state in (READY, *HIDDEN)
        and row.crc == check_of_gallery(row._mapping)
    ):
        raise UnavailableError(UNREADABLE)
    try:
        return gallery_info(row, snapshot)
    except ValueError:
        raise UnavailableError(UNREADABLE) from None
