"""From staged templates to a served gallery: its index, warm replicas, the switch.

Owns the order: nobody waits for what comes first, and the switch itself is one small transaction
(an appended gallery's templates are copied within it).
"""

from __future__ import annotations

import contextlib
import logging
import os
import time
from collections.abc import Callable
from dataclasses import replace

from serve_app.config import JobRequest, ServiceArgs
from serve_app.errors import FaceServeError
from serve_app.index.records import Moment
from serve_app.index.snapshots import SnapshotStorage
from serve_app.index.store import GalleryStore
from serve_app.index.store.job_store import JobStore
from serve_app.index.upkeep.building import build_snapshot
from serve_app.index.upkeep.rules import UpkeepRules, wants_build
from serve_app.index.warming import wait_until_warm
from serve_app.types import GalleryInfo, Job, JobMode, Shard

logger = logging.getLogger(__name__)

WARM_S = 300.0
"""For how long replicas may load what is about to be switched to."""
LEASE_S = 600.0


class Publisher:
    """``still_wanted`` is called now and then; what it raises ends the work. ``say`` tells a user
    what was done."""

    def __init__(
        self,
        store: GalleryStore,
        storage: SnapshotStorage,
        service: ServiceArgs,
        holder: str,
        still_wanted: Callable[[], None],
        say: Callable[[str], None],
    ) -> None:
        self._store = store
        self._jobs = JobStore(store)
        self._storage = storage
        self._service = service
        self._holder = holder
        self._still_wanted = still_wanted
        self._say = say

    def publish(self, job: Job, compatible_with: frozenset[str]) -> GalleryInfo:
        """The job is done with it. Raises JobLostError, GalleryExistsError, GalleryNotFoundError,
        GalleryMismatchError, UnavailableError."""
        staged = replace(self._jobs.staged(job), key=job.key)
        in_place_of = JobRequest.model_validate_json(job.request).in_place_of
        if job.mode is not JobMode.APPEND:
            if staged.size >= self._service.index.exact_until:
                self._build(staged, self._still_wanted)
            begun = time.monotonic()
            warm = wait_until_warm(self._store, staged.generation, WARM_S)
            how = "the replicas were ready" if warm else "not every replica has loaded the gallery"
            self._say(f"{how} after {time.monotonic() - begun:.1f} s")
        self._still_wanted()
        begun = time.monotonic()
        info = self._jobs.publish(
            job.id,
            self._holder,
            _message(job),
            compatible_with,
            None if in_place_of is None else Moment.parse(in_place_of),
        )
        self._say(f"published in {time.monotonic() - begun:.1f} s")
        if job.mode is JobMode.APPEND:
            self._build_grown(info)
        return info

    def _build(self, info: GalleryInfo, progress: Callable[[], None]) -> None:
        """The index of each shard, once: replicas load it. ``progress``: see ``build_snapshot``."""
        shards = self._service.shards
        begun = time.monotonic()
        for number in range(shards):
            shard = Shard(number, shards)
            if any(one.seq == info.seq for one in self._store.snapshots(info.generation, shard)):
                continue  # by a run that ended after it
            build_snapshot(
                self._store,
                self._storage,
                info,
                shard,
                threads=os.cpu_count() or 1,
                progress=progress,
            )
        self._say(f"{info.index_type} index built in {time.monotonic() - begun:.1f} s")

    def _build_grown(self, info: GalleryInfo) -> None:
        """Of a gallery that was appended to, where the replicas' upkeep would build it else. What
        fails here is left to that."""
        index = self._service.index
        rules = UpkeepRules(index.exact_until, index.growth, index.dead)
        shard = Shard(0, self._service.shards)
        leases = [f"build/{info.generation}/{shard.of}-{number}" for number in range(shard.of)]
        try:
            wanted = any(
                standing.info.generation == info.generation
                and wants_build(standing, shard, rules, time.time())
                for standing in self._store.standings(shard, index.exact_until)
            )
            if not wanted or not self._take(leases):
                return
            taken = time.monotonic()

            def prolong() -> None:
                nonlocal taken
                if time.monotonic() - taken > LEASE_S / 3:
                    taken = time.monotonic()
                    self._take(leases)

            self._build(info, prolong)  # the job is over: it is nobody's any more
        except (FaceServeError, OSError) as error:
            logger.warning("the index is left to the replicas: %s", type(error).__name__)
        finally:
            with contextlib.suppress(FaceServeError):
                for name in leases:
                    self._store.give_back_lease(name, self._holder)

    def _take(self, leases: list[str]) -> bool:
        return all(self._store.take_lease(name, self._holder, LEASE_S) for name in leases)


def _message(job: Job) -> str:
    return f"{job.accepted} templates enrolled, {job.rejected} rows rejected"
