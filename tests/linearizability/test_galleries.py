"""Real stores, caches and shards are linearizable, on several replicas, while indexes are built and
swapped; and ones that are wrong in two small ways are found out."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import faiss
import pytest

from serve_app.index.batch import Answer
from serve_app.index.gallery import set_faiss_threads
from serve_app.index.records import SearchRequest
from serve_app.index.sharding import SearchShard
from serve_app.index.store import GalleryStore, sqlite_url
from serve_app.types import GalleryInfo, Shard
from tests.index.replica import HALVES, WHOLE, Replica, asking

from .checker import Outcome, check, require_linearizable
from .galleries import ReplicaClient, create, rebuilt
from .models import GalleryModel
from .scenario import Client, run
from .second import second_cluster

CLIENTS = 8
SHARDS = (WHOLE, *HALVES)
INLINE = (2000, 3)
"""Of the two replicas: what one reads at once, the other reads beside."""
SOAK_ROUNDS = 30


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Several FAISS threads on cores that others use too spin at their barriers for seconds."""
    before = faiss.omp_get_max_threads()
    set_faiss_threads(1)
    yield
    set_faiss_threads(before)


@pytest.fixture
def sqlite(tmp_path: Path) -> str:
    return sqlite_url(tmp_path / "galleries.sqlite")


@pytest.fixture
def postgres(postgres_url: str) -> str:
    GalleryStore(postgres_url, migrate=True).close()
    return postgres_url


def rounds(soak: bool) -> range:
    return range(SOAK_ROUNDS if soak else 2)


def two_replicas(url: str, directory: Path, soak: bool, *, sharded: bool) -> None:
    """Clients of both in turns; with ``sharded`` half of them search the shards."""
    snapshots = directory / "snapshots"
    replicas = [Replica(url, snapshots, SHARDS, inline=inline) for inline in INLINE]
    for seed in rounds(soak):
        key = f"gallery {seed}"
        create(replicas[0], key)
        before = sum(replica.storage.openings for replica in replicas)
        clients = [
            ReplicaClient(replicas[number % 2], key, sharded=sharded and number % 4 < 2)
            for number in range(CLIENTS + 1)
        ]
        shards = SHARDS if sharded else (WHOLE,)
        with rebuilt(replicas[0], key, shards) as built:
            history = run(clients.__getitem__, clients=CLIENTS, seed=seed)
        opened = sum(replica.storage.openings for replica in replicas) - before
        require_linearizable(history, GalleryModel, keep=directory / "history.json")
        refused, searches = (sum(getattr(c, n) for c in clients) for n in ("refused", "searches"))
        print(f"{len(history.operations)} operations, {len(built)} builds, {opened} loads; "
              f"{refused} of {searches} searches refused")  # fmt: skip
        assert built
        assert opened
        assert refused <= searches / 50
        assert all(operation.known for operation in history.operations)
    for each in replicas:
        each.close()


@pytest.mark.soak
def test_two_replicas_on_sqlite(sqlite: str, tmp_path: Path, soak: bool) -> None:
    two_replicas(sqlite, tmp_path, soak, sharded=False)


@pytest.mark.soak
def test_two_replicas_on_postgresql(postgres: str, tmp_path: Path, soak: bool) -> None:
    two_replicas(postgres, tmp_path, soak, sharded=False)


@pytest.mark.soak
def test_two_shards_on_two_replicas(postgres: str, tmp_path: Path, soak: bool) -> None:
    two_replicas(postgres, tmp_path, soak, sharded=True)


@pytest.mark.soak
def test_a_second_cluster(postgres: str, tmp_path: Path, soak: bool) -> None:
    """Half of the clients use a replica here, the others one of another process, with shards."""
    snapshots = tmp_path / "snapshots"
    with ExitStack() as stack:
        here = Replica(postgres, snapshots, SHARDS)
        stack.callback(here.close)
        for seed in rounds(soak):
            key = f"gallery {seed}"
            create(here, key)
            with (
                second_cluster(
                    postgres, snapshots, key, SHARDS, CLIENTS // 2, sharded=True
                ) as others,
                rebuilt(here, key, SHARDS),
            ):
                clients: list[Client] = [*others]
                clients += [ReplicaClient(here, key) for _ in range(CLIENTS // 2 + 1)]
                history = run(clients.__getitem__, clients=CLIENTS, seed=seed)
            require_linearizable(history, GalleryModel, keep=tmp_path / "history.json")


class StaleStore(GalleryStore):
    """Doesn't ask where a gallery stands if it asked a short while ago."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self._told: dict[tuple[str, Shard], tuple[float, GalleryInfo]] = {}

    def describe(
        self, keys: Sequence[str], shard: Shard = WHOLE, *, patient: bool = True
    ) -> dict[str, GalleryInfo]:
        now = time.monotonic()
        told = {key: self._told.get((key, shard), (0.0, None)) for key in keys}
        fresh = {key: info for key, (at, info) in told.items() if info and now - at < 0.05}
        if len(fresh) == len(keys):
            return fresh
        found = super().describe(keys, shard, patient=patient)
        self._told |= {(key, shard): (now, info) for key, info in found.items()}
        return found


def asking_for_no_moment(replica: Replica, shard: Shard) -> SearchShard:
    """Each shard answers for its own present, the second a little later."""
    now = asking(replica, shard)

    async def ask(requests: list[SearchRequest]) -> Sequence[Answer]:
        await asyncio.sleep(0.005 * shard.number)
        return await now([replace(request, at=None) for request in requests])

    return ask


def is_found_out(
    url: str,
    directory: Path,
    make_client: Callable[[Replica, str], Client],
    make_store: Callable[[str], GalleryStore] = GalleryStore,
) -> None:
    """One of a few histories is found to be no right gallery's, and a search to blame."""
    replicas = [
        Replica(url, directory / "snapshots", SHARDS, make_store=make_store) for _ in range(2)
    ]
    for seed in range(5):
        key = f"gallery {seed}"
        create(replicas[0], key)
        clients = [make_client(replicas[number % 2], key) for number in range(CLIENTS + 1)]
        history = run(clients.__getitem__, clients=CLIENTS, operations=30, seed=seed)
        (verdict,) = check(history, GalleryModel)
        if verdict.outcome is Outcome.VIOLATION:
            break
    for each in replicas:
        each.close()
    assert verdict.outcome is Outcome.VIOLATION
    assert "search" in verdict.explanation


def test_a_cache_that_does_not_ask_is_found_out(postgres: str, tmp_path: Path) -> None:
    is_found_out(postgres, tmp_path, ReplicaClient, StaleStore)


def test_shards_at_different_moments_are_found_out(postgres: str, tmp_path: Path) -> None:
    def client(replica: Replica, key: str) -> Client:
        return ReplicaClient(replica, key, sharded=True, ask=asking_for_no_moment)

    is_found_out(postgres, tmp_path, client)
