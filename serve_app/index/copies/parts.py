"""A gallery on its way to another place: the parts it travels in, and taking it apart while it is
written to. Knows neither SQL nor FAISS."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Protocol

from serve_app.errors import UnavailableError
from serve_app.index.records import TemplateRows
from serve_app.types import GalleryEntry, GalleryInfo

PAGE = 10_000
BEGINNINGS = 5
"""A gallery that is built anew while it is copied is begun again, at most so often in all."""


@dataclass(frozen=True, slots=True)
class KeptAnswer:
    """What an operation was answered, as it is stored: ``ids`` is JSON, ``seq`` the gallery's after
    it."""

    id: str
    digest: str
    seq: int
    ids: str
    count: int
    note: str
    created_at: float


@dataclass(frozen=True, slots=True)
class Beginning:
    """What the gallery is. A second one: throw away what came before, the gallery was replaced."""

    entry: GalleryEntry


@dataclass(frozen=True, slots=True)
class CopiedRows:
    """Templates, ids ascending, and the seq that each was added at."""

    templates: TemplateRows
    added: list[int]


@dataclass(frozen=True, slots=True)
class Ending:
    """What makes the parts before it one moment of the gallery: its facts then, which of those
    templates are no more, which came after them."""

    entry: GalleryEntry
    removed: list[int]
    late: CopiedRows
    answers: list[KeptAnswer] = field(default_factory=list)


Part = Beginning | CopiedRows | Ending


class Source(Protocol):
    """What a copy is read from: ``GalleryStore`` is one."""

    def entry(self, key: str) -> GalleryEntry: ...

    def copied_page(self, info: GalleryInfo, after_id: int, limit: int) -> CopiedRows: ...

    def copied_ending(self, info: GalleryInfo, after_id: int) -> Ending | None: ...


def parts(source: Source, key: str, page: int = PAGE) -> Iterator[Part]:
    """The gallery at one moment, in ``page`` templates at a time and without a long transaction.

    A ``Beginning``, pages, an ``Ending``; where the gallery is built anew meanwhile, that again.
    Raises GalleryNotFoundError (also if it is dropped meanwhile), UnavailableError.
    """
    for _ in range(BEGINNINGS):
        entry = source.entry(key)
        yield Beginning(entry)
        last = -1
        # Ids only grow and are given out in the order of commits: what is added later has one
        # above the last that a page showed.
        while (rows := source.copied_page(entry.info, last, page)).added:
            yield rows
            last = rows.templates.ids[-1]
        ending = source.copied_ending(entry.info, last)
        if ending is not None:
            yield ending
            return
    raise UnavailableError(f"gallery {key} was built anew each time while it was copied: try again")
