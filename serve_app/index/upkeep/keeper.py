"""Upkeep beside the searches: one thread that has indexes built where rules say so, prunes what
nobody needs any more, and sees that what was removed leaves the snapshots in time.

Every replica has one. A lease in the store keeps two from building the same; nothing breaks if they
do all the same.
"""

from __future__ import annotations

import logging
import subprocess
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from uuid import uuid4

from serve_app.errors import FaceServeError
from serve_app.index.records import Standing
from serve_app.index.snapshots import SnapshotStorage
from serve_app.index.store import GalleryStore
from serve_app.index.store.audit_store import AuditStore
from serve_app.index.upkeep import builder
from serve_app.index.upkeep.builder import BuildOrder
from serve_app.index.upkeep.rules import UpkeepRules, superfluous, wants_build
from serve_app.types import Shard

logger = logging.getLogger(__name__)

LEASE_S = 60
POLL_S = 0.2
FIRST_RETRY_S, LAST_RETRY_S = 60, 3600
UNFINISHED_S = 6 * 3600
"""Snapshots that the store doesn't know are left alone for so long: they may be being built."""


@dataclass(frozen=True, slots=True)
class Housekeeping:
    """``interval_s``: between two looks; ``prune_every_s``: between two prunings; ``answers_s``:
    for how long answers are kept for operations that are sent again; ``tombstones``: of a gallery,
    before they are pruned; ``audit_s``: for how long rows of the audit log are kept, None: for
    ever."""

    interval_s: float = 5
    prune_every_s: float = 600
    answers_s: float = 86_400
    tombstones: int = 10_000
    audit_s: float | None = None


class Keeper:
    """``urls``: of the database and the snapshots, and ``key_sources``: where the master keys come
    from, for the building process. ``tidy`` is called at each pruning."""

    def __init__(
        self,
        store: GalleryStore,
        storage: SnapshotStorage,
        urls: tuple[str, str],
        shard: Shard,
        rules: UpkeepRules,
        housekeeping: Housekeeping,
        *,
        threads: int = 1,
        tidy: Callable[[], None] = lambda: None,
        key_sources: tuple[str, ...] = (),
        start_build: Callable[[BuildOrder], subprocess.Popen[bytes]] = builder.start,
    ) -> None:
        self._store = store
        self._storage = storage
        self._urls = urls
        self._shard = shard
        self._rules = rules
        self._housekeeping = housekeeping
        self._threads = threads
        self._tidy = tidy
        self._key_sources = key_sources
        self._start_build = start_build
        self._name = uuid4().hex
        self._failures: dict[str, tuple[int, float]] = {}  # generation: how often, not before
        self._next_prune = 0.0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="keeper", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Ends a build that is under way."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()

    def look(self) -> None:
        """One look: build what is wanted, prune what is due. One gallery's trouble is no other's.
        Raises FaceServeError, OSError."""
        standings = self._store.standings(self._shard, self._rules.exact_until)
        for standing in standings:
            if self._stop.is_set():
                return
            for work in (self._build, self._drop_superfluous):
                try:
                    work(standing)
                except (FaceServeError, OSError) as error:
                    logger.warning("upkeep of a gallery broke off: %s", type(error).__name__)
        if time.monotonic() >= self._next_prune:
            # Half of the time is over when files that nobody knows are old enough to go.
            every_s = min(self._housekeeping.prune_every_s, self._rules.erase_within_s / 4)
            self._next_prune = time.monotonic() + every_s
            self._prune()
            self._tidy()

    def _run(self) -> None:
        while not self._stop.wait(self._housekeeping.interval_s):
            try:
                self.look()
            except Exception as error:
                logger.warning("upkeep broke off: %s", type(error).__name__)

    def _is_wanted(self, standing: Standing) -> bool:
        _, not_before = self._failures.get(standing.info.generation, (0, 0.0))
        return time.monotonic() >= not_before and wants_build(
            standing, self._shard, self._rules, time.time()
        )

    def _build(self, standing: Standing) -> None:
        if not self._is_wanted(standing):
            return
        generation = standing.info.generation
        lease = f"build/{generation}/{self._shard.of}-{self._shard.number}"
        if not self._store.take_lease(lease, self._name, LEASE_S):
            return
        try:
            newest = self._store.snapshots(generation, self._shard)[:1]
            if self._is_wanted(replace(standing, snapshot=newest[0] if newest else None)):
                self._build_leased(standing, lease)  # else another has just built it
        finally:
            self._store.give_back_lease(lease, self._name)

    def _build_leased(self, standing: Standing, lease: str) -> None:
        generation = standing.info.generation
        started = time.monotonic()
        order = BuildOrder(
            *self._urls,
            standing.info.key,
            generation,
            self._shard.number,
            self._shard.of,
            self._threads,
            self._key_sources,
        )
        code, complaint = self._wait_for(self._start_build(order), lease)
        seconds = time.monotonic() - started
        if code in (builder.BUILT, builder.NOTHING_TO_DO):
            self._failures.pop(generation, None)
            logger.info("index of %d templates built in %.1f s", standing.info.size, seconds)
        elif not self._stop.is_set():
            times = self._failures.get(generation, (0, 0.0))[0] + 1
            pause_s = min(FIRST_RETRY_S * 2 ** (times - 1), LAST_RETRY_S)
            self._failures[generation] = (times, time.monotonic() + pause_s)
            logger.warning(
                "building an index failed (exit code %d: %s); it is searched exactly meanwhile; "
                "next try in %d s", code, complaint, pause_s,
            )  # fmt: skip

    def _wait_for(self, process: subprocess.Popen[bytes], lease: str) -> tuple[int, str]:
        prolong = time.monotonic() + LEASE_S / 3
        while True:
            try:
                _, complaint = process.communicate(timeout=POLL_S)
                lines = complaint.decode(errors="replace").strip().splitlines()
                return process.returncode, lines[-1] if lines else "no reason given"
            except subprocess.TimeoutExpired:
                pass
            if self._stop.is_set():
                process.kill()
            if time.monotonic() >= prolong:
                prolong = time.monotonic() + LEASE_S / 3
                try:
                    self._store.take_lease(lease, self._name, LEASE_S)
                except FaceServeError:
                    logger.warning("a lease could not be prolonged; the build goes on")

    def _drop_superfluous(self, standing: Standing) -> None:
        snapshots = self._store.snapshots(standing.info.generation, self._shard)
        for snapshot in superfluous(snapshots, standing, self._rules, time.time()):
            self._storage.remove(snapshot.name)  # first: forgotten ones would be found by age only
            self._store.forget(snapshot.name)

    def _prune(self) -> None:
        self._store.prune(self._housekeeping.answers_s, self._housekeeping.tombstones)
        if self._housekeeping.audit_s is not None:
            AuditStore(self._store).prune(self._housekeeping.audit_s)
        known = set()
        for snapshot in self._store.every_snapshot():
            # Of a time with another number of shards: nobody renews it, so it would not be erased.
            foreign = snapshot.shard.of != self._shard.of
            if foreign and time.time() - snapshot.created_at > self._rules.erase_within_s / 2:
                self._storage.remove(snapshot.name)
                self._store.forget(snapshot.name)
            else:
                known.add(snapshot.name)
        unknown_s = min(UNFINISHED_S, self._rules.erase_within_s / 2)
        self._storage.sweep(unknown_s)
        for name in self._storage.names():
            if name not in known:
                self._storage.remove_foreign(name, unknown_s)
