"""Rows of the audit log as values, and the chain that holds them together.

Each gallery's name has a chain of its own: a row's digest is of all that the row says and of the
digest before it, so a row that was changed, left out or put elsewhere fits its neighbours no more.
Knows no database.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, fields

GENESIS = bytes(32)
"""What stands for the digest before the first row: the chain's name is in every row."""

OK = "ok"


@dataclass(frozen=True, slots=True)
class AuditRow:
    """Who did what to a gallery, from where, with what result. No label, embedding, path or image.

    ``chain``: the gallery's whole name, whose rows are numbered from 0. ``at``: seconds since the
    epoch. ``result``: OK, or an error's code. ``seq``: the gallery's after it. ``ids``: of the
    templates, as ``runs`` writes them, where they are told; ``count``: how many there were.
    """

    chain: str
    number: int
    tenant: str
    at: float
    actor: str
    address: str
    action: str
    result: str
    generation: str
    seq: int
    ids: str
    count: int
    operation: str
    digest: bytes = b""


FACTS = tuple(field.name for field in fields(AuditRow) if field.name != "digest")


@dataclass(frozen=True, slots=True)
class AuditPlace:
    """Where a page of rows ends: they come by time, then by gallery, then by number."""

    at: float
    chain: str
    number: int

    @classmethod
    def parse(cls, text: str) -> AuditPlace:
        """Of what ``str`` wrote. Raises ValueError."""
        milliseconds, number, chain = text.split(".", 2)
        return cls(int(milliseconds) / 1000, chain, int(number))

    def __str__(self) -> str:
        return f"{round(self.at * 1000)}.{self.number}.{self.chain}"


@dataclass(frozen=True, slots=True)
class AuditQuery:
    """Which rows: of one gallery, of one tenant, from ``since`` on and before ``until`` (seconds
    since the epoch), after a place; as many as ``limit``."""

    chain: str | None = None
    tenant: str | None = None
    since: float | None = None
    until: float | None = None
    after: AuditPlace | None = None
    limit: int = 1000


@dataclass(frozen=True, slots=True)
class ChainHead:
    """The ends of a chain at a moment: to be kept elsewhere. ``at``: of its newest row, seconds
    since the epoch; None where that was pruned. ``first``: number of the oldest row that was there,
    ``first_at``: of that row; None where it isn't known."""

    chain: str
    next: int
    digest: bytes
    at: float | None = None
    first: int = 0
    first_at: float | None = None


def digest_of(before: bytes, row: AuditRow) -> bytes:
    """Of a row that comes after the one with the digest ``before``.

    JSON: an array in the order of FACTS, which can be read in one way only (texts are quoted and
    escaped, so nothing moves from one column into the next), with what any language can write.
    Raises TypeError for a value that is no text or number: SQLite keeps any.
    """
    facts = [getattr(row, name) for name in FACTS]
    return hashlib.sha256(before + json.dumps(facts, separators=(",", ":")).encode()).digest()


def runs(ids: Sequence[int]) -> str:
    """Ascending ids, each run of them as its two ends: ``0-41,50``."""
    if isinstance(ids, range):
        return _run(ids.start, ids.stop - 1) if ids else ""
    written: list[str] = []
    first = last = None
    for number in ids:
        if first is None or last is None:
            first = last = number
        elif number == last + 1:
            last = number
        else:
            written.append(_run(first, last))
            first = last = number
    if first is not None and last is not None:
        written.append(_run(first, last))
    return ",".join(written)


def _run(first: int, last: int) -> str:
    return str(first) if first == last else f"{first}-{last}"
