"""A cache's store, watched; and what a cache says, in short."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future

from serve_app.errors import FaceServeError, UnavailableError
from serve_app.index.batch import Answer
from serve_app.index.cache import GalleryCache
from serve_app.index.records import Changes, Moment, Passed, SearchRequest, TemplateRows
from serve_app.index.store import GalleryStore
from serve_app.types import (
    Candidate,
    Consistency,
    Embeddings,
    GalleryInfo,
    SearchResult,
    Shard,
    Vectors,
)

from .samples import MODEL, embeddings

WHOLE = Shard()
EVERYONE = 100_000
PATIENCE_S = 30
"""Of a test that waits for a thread: longer than any of them takes on a busy machine."""


class WatchedStore(GalleryStore):
    """A real store that counts reads and lets the test act between them, or make them fail.

    ``before_page`` gets the page's number, from 1; ``after_changes`` runs between a load's last
    read and its being served. ``down``: nothing is answered; ``fail_changes``: only where galleries
    stand is.
    """

    def __init__(self, url: str, *, busy_timeout_s: float = 30) -> None:
        super().__init__(url, busy_timeout_s=busy_timeout_s, patience_s=0)
        self.asked: list[list[str]] = []
        self.pages = 0
        self.loads = 0
        self.down = False
        self.fail_changes = False
        self.before_page: Callable[[int], None] = lambda number: None
        self.after_changes: Callable[[], None] = lambda: None

    def describe(
        self, keys: Sequence[str], shard: Shard = WHOLE, *, patient: bool = True
    ) -> dict[str, GalleryInfo]:
        self.asked.append(list(keys))
        self._check(self.down)
        return super().describe(keys, shard, patient=patient)

    def page(
        self, info: GalleryInfo, after_id: int, limit: int, shard: Shard = WHOLE
    ) -> TemplateRows:
        self._check(self.down)
        self.pages += 1
        self.loads += after_id == -1
        self.before_page(self.pages)
        return super().page(info, after_id, limit, shard)

    def changes(
        self,
        known: GalleryInfo,
        shard: Shard = WHOLE,
        *,
        added_after: int | None = None,
        up_to: int | None = None,
    ) -> Changes | None:
        self._check(self.down or self.fail_changes)
        changes = super().changes(known, shard, added_after=added_after, up_to=up_to)
        self.after_changes()
        return changes

    def _check(self, down: bool) -> None:
        if down:
            raise UnavailableError("the gallery store is unavailable; try again shortly")


class Gate:
    """Holds threads whose names begin with ``prefix`` until it is opened; others pass."""

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix
        self.reached, self.opened = threading.Event(), threading.Event()

    def __call__(self, *_: object) -> None:
        if threading.current_thread().name.startswith(self._prefix):
            self.reached.set()
            assert self.opened.wait(PATIENCE_S)

    def wait(self) -> None:
        assert self.reached.wait(PATIENCE_S)


def settled(answers: Sequence[Answer | Future[Answer]]) -> list[Answer]:
    """Answers that were deferred, too."""
    return [each.result(PATIENCE_S) if isinstance(each, Future) else each for each in answers]


def found(cache: GalleryCache, request: SearchRequest) -> SearchResult:
    """Raises the error that is the answer."""
    (result,) = settled(cache.search([request]))
    if isinstance(result, FaceServeError):
        raise result
    assert not isinstance(result, Passed)
    return result


def answer(
    cache: GalleryCache, probes: Embeddings | None = None, top_k: int = EVERYONE, key: str = "staff"
) -> list[list[Candidate]]:
    asked = embeddings(1) if probes is None else probes
    return found(cache, SearchRequest(key, asked, top_k)).candidates


def labels_of(result: SearchResult) -> dict[int, str]:
    """Everyone who was found for one probe: ids and labels."""
    (candidates,) = result.candidates
    people = {candidate.template_id: candidate.label for candidate in candidates}
    assert len(people) == len(candidates)
    return people


def people(cache: GalleryCache, key: str = "staff") -> dict[int, str]:
    """Everyone the cache finds."""
    return labels_of(found(cache, SearchRequest(key, embeddings(1), EVERYONE)))


def nearest(cache: GalleryCache, vector: Vectors) -> tuple[int, str]:
    ((candidate,),) = answer(cache, Embeddings(MODEL, vector[None]), 1)
    return candidate.template_id, candidate.label


def request(
    key: str = "staff",
    consistency: Consistency = Consistency.STRONG,
    at: Moment | None = None,
) -> SearchRequest:
    return SearchRequest(key, embeddings(1), EVERYONE, consistency, at)


def deferred(cache: GalleryCache, asked: SearchRequest | None = None) -> Future[Answer]:
    (future,) = cache.search([asked or request()])
    assert isinstance(future, Future)
    return future


def members(future: Future[Answer]) -> dict[int, str]:
    (result,) = settled([future])
    if isinstance(result, FaceServeError):
        raise result
    assert isinstance(result, SearchResult)
    return labels_of(result)


def labels(*ids: int) -> dict[int, str]:
    """Of those whom ``samples.build`` enrols."""
    return {number: str(number) for number in ids}
