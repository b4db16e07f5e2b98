"""A cache's store, watched; and what a cache says, in short."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from serve_app.errors import FaceServeError
from serve_app.index.cache import GalleryCache
from serve_app.index.records import SearchRequest, TemplateRows
from serve_app.index.store import GalleryStore
from serve_app.types import Candidate, Embeddings, GalleryInfo, Vectors

from .samples import MODEL, embeddings

EVERYONE = 100_000


class WatchedStore(GalleryStore):
    """A real store that counts reads and lets the test act between two pages, or make them fail."""

    def __init__(self, url: str, *, busy_timeout_s: float = 30) -> None:
        super().__init__(url, busy_timeout_s=busy_timeout_s)
        self.asked: list[list[str]] = []
        self.pages = 0
        self.loads = 0
        self.before_page: Callable[[int], None] = lambda number: None

    def describe(self, keys: Sequence[str]) -> dict[str, GalleryInfo]:
        self.asked.append(list(keys))
        return super().describe(keys)

    def page(self, info: GalleryInfo, after_id: int, limit: int) -> TemplateRows:
        self.pages += 1
        self.loads += after_id == -1
        self.before_page(self.pages)
        return super().page(info, after_id, limit)


def answer(
    cache: GalleryCache, probes: Embeddings | None = None, top_k: int = EVERYONE, key: str = "staff"
) -> list[list[Candidate]]:
    asked = embeddings(1) if probes is None else probes
    (result,) = cache.search([SearchRequest(key, asked, top_k)])
    if isinstance(result, FaceServeError):
        raise result
    return result.candidates


def people(cache: GalleryCache, key: str = "staff") -> dict[int, str]:
    """Everyone the cache finds: ids and labels."""
    (candidates,) = answer(cache, key=key)
    assert len({c.template_id for c in candidates}) == len(candidates)
    return {candidate.template_id: candidate.label for candidate in candidates}


def nearest(cache: GalleryCache, vector: Vectors) -> tuple[int, str]:
    ((candidate,),) = answer(cache, Embeddings(MODEL, vector[None]), 1)
    return candidate.template_id, candidate.label
