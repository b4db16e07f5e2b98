"""A replica's galleries in memory: each knows its generation and sequence number.

Before a batch of searches the store is asked once where the galleries stand, and what this replica
lacks is applied. So a search that starts after an acknowledged mutation sees it, on every replica:
none of them is special, and any may be killed.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from serve_app.errors import FaceServeError, GalleryNotFoundError
from serve_app.index.gallery import GalleryIndex, set_faiss_threads
from serve_app.index.records import SearchRequest, check_fits
from serve_app.index.store import GalleryStore
from serve_app.types import Embeddings, GalleryInfo, SearchResult

logger = logging.getLogger(__name__)

PAGE = 10_000
REBUILD_RETRY_S = 60


@dataclass(slots=True)
class _Entry:
    info: GalleryInfo
    index: GalleryIndex
    rebuild: Future[None] | None = None
    rebuild_after: float = 0.0  # monotonic seconds


class GalleryCache:
    """Searches galleries of ``store``. One search at a time; rebuilding happens beside it.

    ``threads``: cores that FAISS takes for a search, and as many for a rebuild. A failed rebuild is
    tried again by a search ``rebuild_retry_s`` seconds later: each reads the whole gallery.
    """

    def __init__(
        self,
        store: GalleryStore,
        *,
        threads: int = 1,
        rebuild_retry_s: float = REBUILD_RETRY_S,
    ) -> None:
        self._store = store
        self._threads = threads
        self._rebuild_retry_s = rebuild_retry_s
        self._entries: dict[str, _Entry] = {}
        self._lock = threading.Lock()
        self._builder = ThreadPoolExecutor(1, thread_name_prefix="rebuild")

    def close(self) -> None:
        self._builder.shutdown(cancel_futures=True)

    def search(self, requests: Sequence[SearchRequest]) -> list[SearchResult | FaceServeError]:
        """One answer a request, in order. A bad request fails alone, with its error as its answer.

        Requests for one gallery with one ``top_k`` share a FAISS call.
        """
        groups: dict[tuple[str, int], list[int]] = {}
        for position, request in enumerate(requests):
            groups.setdefault((request.key, request.top_k), []).append(position)
        answers: dict[int, SearchResult | FaceServeError] = {}
        with self._lock:
            set_faiss_threads(self._threads)
            try:
                standing = self._store.describe(sorted({request.key for request in requests}))
            except FaceServeError as error:
                return [error for _ in requests]
            for (key, top_k), positions in groups.items():
                chosen = {position: requests[position].probes for position in positions}
                try:
                    entry = self._current(key, standing.get(key))
                    answers |= _search_group(entry, chosen, top_k)
                except FaceServeError as error:
                    answers |= dict.fromkeys(positions, error)
                except Exception as error:
                    logger.error("searching a gallery failed: %s", type(error).__name__)
                    self._entries.pop(key, None)  # changes that were half applied are not served
                    answers |= dict.fromkeys(positions, FaceServeError())
        return [answers[position] for position in range(len(requests))]

    def wait_for_rebuilds(self) -> None:
        """Until those under way are done: for tests and orderly ends."""
        for entry in list(self._entries.values()):
            if entry.rebuild is not None:
                entry.rebuild.result()

    def _current(self, key: str, standing: GalleryInfo | None) -> _Entry:
        """The gallery as it stands in the store, at least at ``standing``."""
        if standing is None:
            self._entries.pop(key, None)
            raise GalleryNotFoundError(f"gallery {key} does not exist; build it first")
        entry = self._entries.get(key)
        if entry is None or entry.info.generation != standing.generation:
            entry = self._entries[key] = self._load(standing, quickly=True)
        if entry.info.seq < standing.seq and not self._catch_up(entry):
            entry = self._entries[key] = self._load(standing, quickly=True)
        under_way = entry.rebuild is not None and not entry.rebuild.done()
        if entry.index.wants_rebuild and not under_way and time.monotonic() >= entry.rebuild_after:
            entry.rebuild = self._builder.submit(self._rebuild, key, entry)
        return entry

    def _catch_up(self, entry: _Entry) -> bool:
        changes = self._store.changes(entry.info)
        if changes is None:
            return False
        entry.index.remove(changes.removed)
        entry.index.add(changes.added.ids, changes.added.labels, changes.added.vectors)
        entry.info = changes.info
        return True

    def _load(self, info: GalleryInfo, *, quickly: bool) -> _Entry:
        """The gallery from the store: pages first, then what happened while they were read."""
        pages = []
        after = -1
        while True:
            page = self._store.page(info, after, PAGE)
            if not page.ids:
                break
            pages.append(page)
            after = page.ids[-1]
        vectors = np.concatenate([page.vectors for page in pages]) if pages else None
        index = GalleryIndex(
            info.index_type,
            info.metric,
            info.dimension,
            [number for page in pages for number in page.ids],
            [label for page in pages for label in page.labels],
            vectors,
            quickly=quickly,
        )
        entry = _Entry(info, index)
        if not self._catch_up(entry):
            raise GalleryNotFoundError(f"gallery {info.key} was replaced; search again")
        return entry

    def _rebuild(self, key: str, old: _Entry) -> None:
        """Build beside the served index and swap; the next search applies what came meanwhile."""
        try:
            set_faiss_threads(self._threads)
            new = self._load(old.info, quickly=False)
        except Exception as error:
            logger.warning("rebuild failed: %s", type(error).__name__)
            old.rebuild_after = time.monotonic() + self._rebuild_retry_s
            return
        with self._lock:
            if self._entries.get(key) is old:
                self._entries[key] = new


def _search_group(
    entry: _Entry, probes: dict[int, Embeddings], top_k: int
) -> dict[int, SearchResult | FaceServeError]:
    answers: dict[int, SearchResult | FaceServeError] = {}
    fitting = {}
    for position, embeddings in probes.items():
        try:
            check_fits(entry.info, embeddings)
            fitting[position] = embeddings.vectors
        except FaceServeError as error:
            answers[position] = error
    if fitting:
        found = iter(entry.index.search(np.concatenate(list(fitting.values())), top_k))
        for position, vectors in fitting.items():
            candidates = [next(found) for _ in vectors]
            answers[position] = SearchResult(entry.info.metric, candidates)
    return answers
