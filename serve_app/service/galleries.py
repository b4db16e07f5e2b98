"""Looking at galleries and after them: pages of what is there, removal, fresh indexes.

Owns how long a page is and which keys may be asked for. Must not know HTTP, Ray or the store.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from serve_app import policy
from serve_app.errors import InvalidRequestError
from serve_app.ports import Galleries
from serve_app.types import GalleryEntry, Operation, Receipt, TemplateEntry

DEFAULT_PAGE = 100
MAX_PAGE = 1000


@dataclass(frozen=True, slots=True)
class GalleryPage:
    """Galleries by key. ``next``: after which key the next page starts, None after the last one."""

    galleries: Sequence[GalleryEntry]
    next: str | None = None


@dataclass(frozen=True, slots=True)
class TemplatePage:
    """Templates by id. ``next``: after which id the next page starts, None after the last one."""

    templates: Sequence[TemplateEntry]
    next: int | None = None


class GalleryService:
    """Every method raises InvalidRequestError for a bad key, all but ``list`` GalleryNotFoundError.

    ``operation``: as ``RecognitionService`` has it.
    """

    def __init__(self, galleries: Galleries) -> None:
        self._galleries = galleries

    async def list(self, after: str = "", limit: int = DEFAULT_PAGE) -> GalleryPage:
        """Up to ``limit`` galleries with keys above ``after``."""
        if after:
            policy.check_key(after)
        check_limit(limit)
        # One more than asked for: whether there is a next page.
        found = await self._galleries.list(after, limit + 1)
        more = len(found) > limit
        return GalleryPage(found[:limit], found[limit - 1].info.key if more else None)

    async def entry(self, key: str) -> GalleryEntry:
        policy.check_key(key)
        return await self._galleries.entry(key)

    async def templates(
        self, key: str, label: str | None = None, after: int = -1, limit: int = DEFAULT_PAGE
    ) -> TemplatePage:
        """Up to ``limit`` templates with ids above ``after``; of ``label`` if given."""
        policy.check_key(key)
        check_limit(limit)
        found = await self._galleries.templates(key, label, after, limit + 1)
        more = len(found) > limit
        return TemplatePage(found[:limit], found[limit - 1].id if more else None)

    async def remove_label(
        self, key: str, label: str, *, operation: Operation | None = None
    ) -> Receipt:
        """Remove every template of a label; none is no error."""
        policy.check_key(key)
        return await self._galleries.remove_label(key, label, operation=operation)

    async def drop(self, key: str, *, operation: Operation | None = None) -> Receipt:
        """Remove a gallery with all that is in it: the receipt counts that."""
        policy.check_key(key)
        return await self._galleries.drop(key, operation=operation)

    async def optimize(self, key: str, *, operation: Operation | None = None) -> Receipt:
        """Ask for a fresh index of all that is in the gallery now: it is built beside."""
        policy.check_key(key)
        return await self._galleries.optimize(key, operation=operation)


def check_limit(limit: int) -> None:
    """Raises InvalidRequestError."""
    if not 1 <= limit <= MAX_PAGE:
        raise InvalidRequestError(f"limit is from 1 to {MAX_PAGE}")
