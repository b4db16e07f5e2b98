"""A replica's galleries in memory: each knows its generation and sequence number.

Before a batch of searches the store is asked once where the galleries stand, and what this replica
lacks is applied. So a search that starts after an acknowledged mutation sees it, on every replica.
What takes long (reading a large gallery) is done beside; only searches of that gallery wait for it.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

from serve_app.errors import FaceServeError, GalleryNotFoundError, UnavailableError
from serve_app.index.batch import Answer, Group, grouped, search_group
from serve_app.index.gallery import set_faiss_threads
from serve_app.index.loading import Loaded, Loader, breathe
from serve_app.index.preloads import Preloads
from serve_app.index.records import Changes, Moment, Passed, SearchRequest
from serve_app.index.store import GalleryStore
from serve_app.index.whereabouts import Whereabouts
from serve_app.priority import step_back
from serve_app.types import Consistency, GalleryInfo, Shard

logger = logging.getLogger(__name__)

INLINE = 2000
"""Templates that a batch reads while all its searches wait: some hundredths of a second."""
A_GALLERY = 400
"""Of these, what each gallery costs besides its templates: the queries take as long."""
SWAP_RETRY_S = 60


class GalleryCache:
    """Searches galleries of ``store``, as far as they are in ``shard``. One search at a time.

    ``threads``: cores that FAISS takes for a search. ``loader`` reads galleries into memory."""

    def __init__(
        self,
        store: GalleryStore,
        shard: Shard | None = None,
        loader: Loader | None = None,
        *,
        threads: int = 1,
        inline: int = INLINE,
    ) -> None:
        self._store = store
        self._shard = shard or Shard()
        self._whereabouts = Whereabouts(store, self._shard)
        self._loader = loader or Loader(store, self._shard, None)
        self.preloads = Preloads(self._loader)
        self._threads = threads
        self._inline = inline
        self._room = inline  # what is left of it to the batch that is being answered
        self._entries: dict[str, Loaded] = {}
        self._loads: dict[str, Future[None]] = {}  # a gallery's searches wait for these
        self._swaps: dict[str, Future[None]] = {}  # and not for these
        self._swap_after: dict[str, float] = {}  # monotonic seconds, of those that failed
        self._lock = threading.RLock()  # a future that is done calls back at once
        self._beside = ThreadPoolExecutor(2, thread_name_prefix="load", initializer=step_back)
        self._swapper = ThreadPoolExecutor(1, thread_name_prefix="swap")  # never before a load

    def close(self) -> None:
        self.preloads.close()
        for threads in (self._beside, self._swapper):
            threads.shutdown(cancel_futures=True)

    def search(self, requests: Sequence[SearchRequest]) -> list[Answer | Future[Answer]]:
        """One answer a request, in order, or its future where the gallery must be read first. A bad
        request fails alone, with its error as its answer.

        Requests for one gallery with one ``top_k`` share a FAISS call.
        """
        answers: dict[int, Answer | Future[Answer]] = {}
        with self._lock:
            set_faiss_threads(self._threads)
            self._room = self._inline
            standing, down = self._standing(requests)
            for group in grouped(requests):
                answers |= self._answered(group, standing, down)
        return [answers[position] for position in range(len(requests))]

    def adopt(self, info: GalleryInfo) -> None:
        """Serve what was read ahead of ``info`` now: what it replaces takes memory."""
        with self._lock:
            if self.preloads.has(info.generation):
                self._bring(info, None)

    def tidy(self) -> None:
        """Let go of galleries that are no more. Raises UnavailableError."""
        with self._lock:
            keys = list({*self._entries, *self._swaps, *self._loads, *self._swap_after})
        there = self._store.describe(keys, self._shard, patient=False) if keys else {}
        with self._lock:
            for key in set(keys) - set(there):
                self._entries.pop(key, None)
                self._swaps.pop(key, None)
                self._loads.pop(key, None)
                self._swap_after.pop(key, None)

    def wait_for_swaps(self) -> None:
        """Until what is under way beside is done: for tests and orderly ends."""
        for works in (self._loads, self._swaps):
            for work in list(works.values()):
                work.result()

    def loaded(self) -> list[tuple[GalleryInfo, int]]:
        """Where each gallery in memory is, and how many templates of it are here."""
        with self._lock:
            return [(entry.info, len(entry.index)) for entry in self._entries.values()]

    def standing_of(self, key: str) -> Moment | None:
        """Where this replica's copy of a gallery is."""
        entry = self._entries.get(key)
        return None if entry is None else Moment(entry.info.generation, entry.info.seq)

    def _standing(
        self, requests: Sequence[SearchRequest]
    ) -> tuple[dict[str, GalleryInfo], FaceServeError | None]:
        """Where the galleries stand, or the error of the store that doesn't say."""
        keys = sorted({r.key for r in requests if r.at is None or r.at != self.standing_of(r.key)})
        eventual = all(r.consistency is Consistency.EVENTUAL for r in requests)
        return self._whereabouts.asked(keys, eventual)

    def _answered(
        self, group: Group, standing: dict[str, GalleryInfo], down: FaceServeError | None
    ) -> Mapping[int, Answer | Future[Answer]]:
        try:
            if group.at is not None and group.at == self.standing_of(group.key):
                return self._searched(group)
            if down is not None:
                if group.consistency is Consistency.STRONG or group.key not in self._entries:
                    raise down
                return self._searched(group, stale=True)
            info = standing.get(group.key)
            if info is None:
                self._entries.pop(group.key, None)
                raise GalleryNotFoundError(f"gallery {group.key} does not exist; build it first")
            try:
                beside = self._bring(info, group.at)
            except UnavailableError as error:  # it went down just now
                return self._without_store(group, info, error)
            return self._searched(group) if beside is None else self._later(group, info, beside)
        except FaceServeError as error:
            return dict.fromkeys(group.probes, error)
        except Exception as error:
            logger.error("searching a gallery failed: %s", type(error).__name__)
            self._entries.pop(group.key, None)  # it may be its index that is at fault
            return dict.fromkeys(group.probes, FaceServeError())

    def _without_store(
        self, group: Group, info: GalleryInfo, error: UnavailableError
    ) -> dict[int, Answer]:
        """What is in memory, for those whom it will do; not what is known to have been replaced."""
        with self._lock:
            entry = self._entries.get(group.key)
            is_there = entry is not None and entry.info.generation == info.generation
            if group.consistency is Consistency.STRONG or not is_there:
                return dict.fromkeys(group.probes, error)
            return self._searched(group, stale=True)

    def _bring(self, info: GalleryInfo, at: Moment | None) -> Future[None] | None:
        """Bring a gallery to ``info``, or to exactly ``at`` where that can still be told. None if
        that is done, else the future of its being done beside."""
        load = self._loads.get(info.key)
        if load is not None and not load.done():
            return load
        self._loads.pop(info.key, None)  # with the searches that its callbacks hold
        entry = self._entries.get(info.key)
        if entry is None or entry.info.generation != info.generation:
            new = self._new_generation(info)
            if isinstance(new, Future):
                return new
            self._entries[info.key] = entry = new
        seq = at.seq if at is not None and at.generation == info.generation else info.seq
        if entry.info.seq < seq:
            newer = (info.next_id - entry.info.next_id) / self._shard.of
            if max(newer, seq - entry.info.seq) > self._inline:
                return self._start(info, self._catch_up)
            changes = self._store.changes(
                entry.info, self._shard, up_to=None if at is None else seq
            )
            if changes is None:
                return self._start(info, self._load)
            self._apply(entry, changes)
        self._consider_swap(entry, info)
        return None

    def _new_generation(self, info: GalleryInfo) -> Loaded | Future[None]:
        """Read a gallery: here if it is small, or was read ahead, else beside."""
        ahead = self.preloads.take(info)
        if isinstance(ahead, Future):
            self._loads[info.key] = ahead
        if ahead is not None:
            return ahead
        if info.size <= self._room and info.snapshot is None:
            self._room -= info.size + A_GALLERY
            return self._loader.load(info)
        return self._start(info, self._load)

    def _start(self, info: GalleryInfo, work: Callable[[GalleryInfo], None]) -> Future[None]:
        self._loads[info.key] = self._beside.submit(work, info)
        return self._loads[info.key]

    def _load(self, info: GalleryInfo) -> None:
        loaded = self._loader.load(info, breathe)
        with self._lock:
            self._entries[info.key] = loaded

    def _catch_up(self, info: GalleryInfo) -> None:
        """Many changes: read beside, applied at once."""
        entry = self._entries.get(info.key)
        changes = None if entry is None else self._store.changes(entry.info, self._shard)
        if entry is None or changes is None:
            self._load(info)
            return
        with self._lock:
            if self._entries.get(info.key) is entry:
                self._apply(entry, changes)

    def _apply(self, entry: Loaded, changes: Changes) -> None:
        """Changes that were half applied are not served: the gallery is read anew then."""
        try:
            entry.apply(changes)
        except BaseException:
            self._entries.pop(entry.info.key, None)
            raise

    def _consider_swap(self, entry: Loaded, info: GalleryInfo) -> None:
        """Have a newer index loaded beside, or a gallery that is mostly tombstones read anew."""
        offered = info.snapshot not in (None, entry.offered, entry.snapshot)
        decayed = not entry.index.sealed_rows and (
            entry.index.dead_rows > len(entry.index) + self._inline
        )
        under_way = info.key in self._swaps and not self._swaps[info.key].done()
        may = not under_way and time.monotonic() >= self._swap_after.get(info.key, 0.0)
        if (offered or decayed) and may:
            self._swaps[info.key] = self._swapper.submit(self._swap, entry, info)

    def _swap(self, entry: Loaded, info: GalleryInfo) -> None:
        """Load beside the served index and take its place, at least as far as that has come."""
        try:
            new = self._loader.load(info, breathe)
            with self._lock:
                if self._entries.get(info.key) is not entry:
                    return
                if new.info.seq < entry.info.seq:
                    changes = self._store.changes(new.info, self._shard)
                    if changes is None:
                        return
                    new.apply(changes)
                self._entries[info.key] = new
        except Exception as error:
            logger.warning("loading a newer index failed: %s", type(error).__name__)
            self._swap_after[info.key] = time.monotonic() + SWAP_RETRY_S

    def _later(
        self, group: Group, info: GalleryInfo, beside: Future[None]
    ) -> dict[int, Future[Answer]]:
        """Futures that are answered when the gallery has been read, as far as ``info``: what was
        begun before may end before it."""
        futures: dict[int, Future[Answer]] = {position: Future() for position in group.probes}

        def answer(done: Future[None]) -> None:
            answers: Mapping[int, Answer]
            try:
                try:
                    done.result()
                    with self._lock:
                        set_faiss_threads(self._threads)
                        again = self._bring(info, group.at)
                        if again is not None:
                            again.add_done_callback(answer)
                            return
                        answers = self._searched(group)
                except UnavailableError as error:
                    answers = self._without_store(group, info, error)
            except FaceServeError as error:
                answers = dict.fromkeys(group.probes, error)
            except BaseException as error:
                logger.error("reading a gallery failed: %s", type(error).__name__)
                answers = dict.fromkeys(group.probes, FaceServeError())
            for position, future in futures.items():
                if future.set_running_or_notify_cancel():  # not where its caller went away
                    future.set_result(answers[position])

        beside.add_done_callback(answer)
        return futures

    def _searched(self, group: Group, *, stale: bool = False) -> dict[int, Answer]:
        entry = self._entries.get(group.key)
        if entry is None:
            raise UnavailableError(f"gallery {group.key} was just replaced; search again")
        now = Moment(entry.info.generation, entry.info.seq)
        if group.at is not None and group.at != now:
            return dict.fromkeys(group.probes, Passed(now))
        return search_group(entry.info, entry.index, group, stale)
