"""Replicas are warm before a gallery is switched: they have read what is about to be served.

Whoever will publish says so by a lease, ``publishing/GENERATION``, which ends with that; each
replica says that it is alive by one, ``replica/SHARDS-SHARD/NAME``, and that it has read the
generation by a third, ``warm/GENERATION/NAME``. Nothing's correctness rests on it: a replica that
is late loads at its first search, as ever.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from uuid import uuid4

from serve_app.errors import FaceServeError
from serve_app.index.cache import GalleryCache
from serve_app.index.store import GalleryStore
from serve_app.index.store.publishing import PUBLISHING
from serve_app.types import Shard

logger = logging.getLogger(__name__)

LIVE, WARM = "replica/", "warm/"

LOOK_S = 2.0
LIVE_S = 20.0
PROLONG_S = 6.0
"""A lease is a write: with SQLite one for all, so a replica makes no more of them than it needs."""

TIMEOUT_S = 300.0
PUBLISH_S = 120.0
"""For so long after the wait replicas keep what they read, if nobody publishes it."""


class Warmer:
    """A replica's part, in a thread of its own: a build may take an hour, and this must not wait
    for it. ``cache``: of the replica, of ``shard``."""

    def __init__(
        self,
        store: GalleryStore,
        cache: GalleryCache,
        shard: Shard,
        *,
        look_s: float = LOOK_S,
        live_s: float = LIVE_S,
        prolong_s: float = PROLONG_S,
    ) -> None:
        self._store = store
        self._cache = cache
        self._shard = shard
        self._look_s = look_s
        self._live_s = live_s
        self._prolong_s = prolong_s
        self._name = uuid4().hex
        self._lease = f"{LIVE}{shard.of}-{shard.number}/{self._name}"
        self._next_prolonging = 0.0
        self._reported: set[str] = set()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="warmer", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Nobody waits for this replica any more."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()
        try:
            self._store.give_back_lease(self._lease, self._name)
        except FaceServeError:
            logger.info("a lease was not given back: it runs out")

    def look(self) -> None:
        """One look: say that it is alive, read what is about to be published, take what was.
        Raises FaceServeError."""
        if time.monotonic() >= self._next_prolonging:
            self._next_prolonging = time.monotonic() + self._prolong_s
            self._store.take_lease(self._lease, self._name, self._live_s)
        wanted = {name.removeprefix(PUBLISHING) for name in self._store.leases(PUBLISHING)}
        for generation in wanted | self._cache.preloads.held() | self._reported:
            self._tend(generation, generation in wanted)

    def _tend(self, generation: str, wanted: bool) -> None:
        preloads = self._cache.preloads
        info = self._store.of_generation(generation, self._shard)
        served = info and self._store.describe([info.key], self._shard).get(info.key)
        if served is not None and served.generation == generation:
            self._cache.adopt(served)
            self._report(generation, False)
        elif info is None or not wanted:
            preloads.drop(generation)
            self._report(generation, False)
        elif preloads.is_loaded(generation):
            self._report(generation, True)
        else:
            preloads.begin(info)

    def _report(self, generation: str, warm: bool) -> None:
        lease = f"{WARM}{generation}/{self._name}"
        if warm and generation not in self._reported:
            self._store.take_lease(lease, self._name, TIMEOUT_S + PUBLISH_S)
            self._reported.add(generation)
        elif not warm and generation in self._reported:
            self._store.give_back_lease(lease, self._name)
            self._reported.remove(generation)

    def _run(self) -> None:
        while True:
            try:
                self.look()
            except Exception as error:
                logger.warning("looking for galleries to read ahead: %s", type(error).__name__)
            if self._stop.wait(self._look_s):
                return


def wait_until_warm(
    store: GalleryStore,
    generation: str,
    timeout_s: float = TIMEOUT_S,
    *,
    poll_s: float = 0.5,
    pause: Callable[[float], None] = time.sleep,
) -> bool:
    """Whether every live replica has read the gallery of ``generation``, which nobody writes to any
    more, within ``timeout_s`` seconds. Publish it then, in any case, and at once.

    Raises UnavailableError.
    """
    if not store.leases(LIVE):
        return True
    # The same holder in each run of a job: the one that goes on need not wait for the lease.
    store.take_lease(PUBLISHING + generation, generation, timeout_s + PUBLISH_S)
    deadline = time.monotonic() + timeout_s
    while True:
        warm = {_name(lease) for lease in store.leases(f"{WARM}{generation}/")}
        late = {_name(lease) for lease in store.leases(LIVE)} - warm
        if not late:
            return True
        if time.monotonic() >= deadline:
            logger.warning(
                "%d replicas have not read the gallery yet: they load it later", len(late)
            )
            return False
        pause(poll_s)


def _name(lease: str) -> str:
    return lease.rpartition("/")[2]
