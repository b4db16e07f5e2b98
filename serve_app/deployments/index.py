"""Host of the index stage: each replica searches its own FAISS indexes and writes to one store.

All replicas are equal and may be killed: the store is the truth, a replica only a cache of it.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from serve_app.access.changes import AccessNews, Spent
from serve_app.config import (
    AuditConfig,
    BatchSettings,
    IndexConfig,
    MetricsConfig,
    ObservabilityConfig,
    SnapshotConfig,
    open_vault,
)
from serve_app.deployments.calls import CallId, StageCall, StageReply
from serve_app.deployments.index_jobs import Hosts, IndexJobs
from serve_app.deployments.index_records import IndexRecords
from serve_app.deployments.metrics import Meters, index_gauges, open_meters
from serve_app.deployments.replica import BatchedWorker, LanedWorker, answered, run_in, timed
from serve_app.deployments.sampler import SamplerThread
from serve_app.errors import FaceServeError, UnavailableError
from serve_app.index.batch import Answer
from serve_app.index.cache import GalleryCache
from serve_app.index.census import take_census
from serve_app.index.gallery import check_index_type, choose_device
from serve_app.index.loading import Loader
from serve_app.index.mutations import Create, Mutation
from serve_app.index.records import SearchRequest
from serve_app.index.snapshots import SnapshotStorage
from serve_app.index.store import GalleryStore
from serve_app.index.store.access_store import AccessStore
from serve_app.index.upkeep.keeper import Housekeeping, Keeper
from serve_app.index.upkeep.rules import UpkeepRules
from serve_app.index.warming import Warmer
from serve_app.tracing import open_tracing
from serve_app.types import (
    GalleryEntry,
    GalleryInfo,
    Operation,
    Receipt,
    Shard,
    TemplateEntry,
)

READERS = 2
CHECKERS = 1
PROBERS = 1
Result = TypeVar("Result")

GROUP_COMMIT = BatchSettings(slots=1, max_cost=2000, max_queue_cost=100_000, overtake_s=0)
"""Mutations of one transaction, counted in templates: it holds the gallery's lock. They are made in
the order they came in."""


class Index(IndexJobs, IndexRecords):
    def __init__(
        self,
        urls: tuple[str, str],
        shard: Shard,
        index: IndexConfig,
        snapshots: SnapshotConfig,
        hosts: Hosts,
        observability: ObservabilityConfig | None = None,
        audit: AuditConfig | None = None,
        key_sources: tuple[str, ...] = (),
    ) -> None:
        audit = audit or AuditConfig()
        observability = observability or ObservabilityConfig()
        meters = open_meters(observability.metrics)
        database, snapshots_url = urls
        device = choose_device(index.device)
        vault = open_vault(key_sources, os.environ)
        self._store = GalleryStore(database, create=False, vault=vault, audited=audit.enabled)
        self._access = AccessStore(self._store)
        self._open_jobs(self._store, hosts)
        self._open_records(self._store)
        storage = SnapshotStorage(snapshots_url)
        loader = Loader(self._store, shard, storage, device)
        # Few cores a replica: FAISS's own threads would spin on those of the other stages.
        self._cache = GalleryCache(self._store, shard, loader, threads=index.threads)
        self._keeper = Keeper(
            self._store,
            storage,
            urls,
            shard,
            UpkeepRules(
                index.exact_until,
                index.growth,
                index.dead,
                snapshots.erase_within_s,
                snapshots.keep,
            ),
            Housekeeping(index.upkeep_s, answers_s=index.idempotency_s, audit_s=audit.keep_s),
            threads=index.build_threads,
            tidy=self._cache.tidy,
            key_sources=key_sources,
        )
        self._keeper.start()
        self._warmer = Warmer(self._store, self._cache, shard)
        self._warmer.start()
        self._searches: BatchedWorker[SearchRequest, Answer] = BatchedWorker(
            timed("search", self._cache.search),
            cost=lambda request: request.cost,
            observe=meters.batches("index", "replica"),
            tracing=open_tracing(observability.tracing, "index"),
        )
        self._sampler = _sampler(self._store, self._cache, shard, meters, observability.metrics)
        # Group commit: what comes while a gallery's transaction runs shares the next one. SQLite
        # has one writer, so there all galleries do.
        self._changes: LanedWorker[Mutation, Receipt] = LanedWorker(
            self._store.apply, GROUP_COMMIT, lane=self._lane, cost=_cost
        )
        # Apart from the writers: these may wait for the database's lock.
        self._readers = ThreadPoolExecutor(READERS, thread_name_prefix="store-read")
        self._checkers = ThreadPoolExecutor(CHECKERS, thread_name_prefix="check")
        # Apart from all: a store that answers must not seem down because others are waited for.
        self._probers = ThreadPoolExecutor(PROBERS, thread_name_prefix="store-ready")

    def close(self) -> None:
        """For tests: Ray ends replicas with their process."""
        self._sampler.stop()
        self._warmer.stop()
        self._keeper.stop()
        self._cache.close()
        self._store.close()

    async def reconfigure(self, user_config: Mapping[str, Any]) -> None:
        self._searches.configure(user_config)

    async def ready(self) -> None:
        """Its event loop runs; what it searches it reads when it is asked."""

    async def store_ready(self) -> FaceServeError | None:
        """Whether the store answers, tried once."""

        def ask() -> None:
            self._store.describe(["ready"], patient=False)

        return await run_in(self._probers, ask)

    async def search(self, call: StageCall[SearchRequest]) -> StageReply[Answer]:
        return await self._searches.answer(call)

    async def forget(self, gone: Sequence[tuple[CallId, int]]) -> None:
        self._searches.forget(gone)

    async def change(self, mutation: Mutation) -> Receipt | FaceServeError:
        """Make ``mutation`` happen, once, however often it is sent."""
        if isinstance(mutation, Create):
            vectors = mutation.embeddings.vectors
            refusal = await run_in(
                self._checkers,
                lambda: check_index_type(mutation.index_type, vectors.shape[1], mutation.metric),
            )
            if isinstance(refusal, FaceServeError):
                return refusal
        return await answered(self._changes.submit(mutation))

    async def answer_to(
        self, operation: Operation, with_labels: bool
    ) -> Receipt | FaceServeError | None:
        return await run_in(
            self._readers, lambda: self._store.answered(operation, with_labels=with_labels)
        )

    async def describe(self, keys: Sequence[str]) -> dict[str, GalleryInfo] | FaceServeError:
        return await run_in(self._readers, lambda: self._store.describe(keys))

    async def galleries(
        self, after: str, limit: int, tenant: str | None
    ) -> list[GalleryEntry] | FaceServeError:
        return await run_in(self._readers, lambda: self._store.galleries(after, limit, tenant))

    async def entry(self, key: str) -> GalleryEntry | FaceServeError:
        return await run_in(self._readers, lambda: self._store.entry(key))

    async def templates(
        self, key: str, label: str | None, after: int, limit: int
    ) -> list[TemplateEntry] | FaceServeError:
        return await run_in(
            self._readers,
            lambda: self._store.templates(self._store.entry(key).info, label, after, limit),
        )

    async def access_news(self, known: int) -> AccessNews | FaceServeError:
        return await run_in(self._probers, lambda: self._access.news(known))

    async def spend(self, spent: Mapping[str, Spent]) -> dict[str, float] | FaceServeError:
        return await run_in(self._job_writers, lambda: self._access.spend(spent))

    def _lane(self, mutation: Mutation) -> str:
        return "" if self._store.one_writer else mutation.key


def _sampler(
    store: GalleryStore,
    cache: GalleryCache,
    shard: Shard,
    meters: Meters,
    config: MetricsConfig,
) -> SamplerThread:
    """Begun, if metrics are on."""
    publish = index_gauges(meters, config.largest)

    def look() -> None:
        try:
            census = take_census(store, cache, shard, config.largest)
        except UnavailableError:
            census = None
        publish(census)

    sampler = SamplerThread(look, config.interval_s)
    if config.enabled:
        sampler.start()
    return sampler


def _cost(mutation: Mutation) -> int:
    """In templates, at least one."""
    labels = getattr(mutation, "labels", ())
    return max(1, len(labels), len(getattr(mutation, "ids", ())))
