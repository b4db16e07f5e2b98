"""What a scenario acts on: the clusters, their database, and the addresses of their proxies.

Importing this imports Ray: set ``node_environment.shared_environment`` first.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import httpx

from load_tests.drill.addresses import Addresses
from load_tests.drill.cluster import SimulatedCluster
from load_tests.drill.content import Content, first, is_settled, running
from load_tests.drill.node_environment import REPLICA_PORTS
from load_tests.drill.redis import RedisServer
from load_tests.drill.release import make_release
from load_tests.stand_in.content import with_stand_in
from serve_app.index.store import GalleryStore
from tests.postgresql import PostgresServer

WORKERS = 3
SETTLES_WITHIN_S = 240.0
FIRST_REPLICA_PORT = 30000
LATENCY_MS = 10.0
"""Of a network's run."""


class World:
    """Started by ``start``; ``close`` ends everything that was started."""

    def __init__(self, directory: Path, environ: Mapping[str, str]) -> None:
        self._directory = directory
        (directory / "ray").mkdir()  # Cluster notes the last address there
        self._numbers = itertools.count()
        self._database = PostgresServer()
        self._environ = {**environ, "FACE_SERVE_DATABASE_URL": self._database.url()}
        self._stores: list[RedisServer] = []
        self._clusters: list[SimulatedCluster] = []
        self.addresses = Addresses([])
        GalleryStore(self._database.url(), migrate=True).close()

    def __enter__(self) -> World:
        return self

    def __exit__(self, *_: object) -> None:
        for cluster in self._clusters:
            cluster.close()
        for store in self._stores:
            store.close()
        self._database.close()

    @property
    def cluster(self) -> SimulatedCluster:
        """The one that serves: the newest."""
        return self._clusters[-1]

    @property
    def content(self) -> Content:
        """Of the Serve file that the cluster was started with. Networks of fixed latency: this
        machine's cores are those of all machines, and replicas that start take them."""
        content = first(self._directory / "data", self.cluster.http_port)
        return with_stand_in(content, detector_ms=LATENCY_MS, first_ms=LATENCY_MS, face_ms=0.0)

    def start(self) -> SimulatedCluster:
        """One more cluster, serving, on the same database; nothing is sent to it yet."""
        number = next(self._numbers)
        store = RedisServer()  # of its own: two clusters in one would be one
        self._stores.append(store)
        cluster = SimulatedCluster(
            self._directory / f"c{number}",
            workers=WORKERS,
            redis=store,
            replica_ports=FIRST_REPLICA_PORT + number * REPLICA_PORTS,
            environ=self._environ,
        )
        self._clusters.append(cluster)
        cluster.deploy(self.content)
        self.settle()
        return cluster

    def end(self, cluster: SimulatedCluster) -> None:
        self._clusters.remove(cluster)
        cluster.close()

    def deploy(self, content: Content) -> None:
        """And wait until it is what runs."""
        self.cluster.deploy(content)
        time.sleep(2)  # until Serve has read it: what ran before looks settled
        self.settle()

    def settle(self, also: Callable[[Mapping[str, Any]], bool] = lambda _: True) -> None:
        """Wait until all that is wanted runs and all proxies are ready."""
        self.cluster.wait_until(
            lambda details: is_settled(details) and also(details), SETTLES_WITHIN_S
        )

    def replicas(self, stage: str) -> set[str]:
        """Ids of those that run."""
        return {one["replica_id"] for one in running(self.cluster.details(), stage)}

    def nodes_of(self, stage: str) -> set[str]:
        """Ids of the nodes that a replica runs on."""
        return {one["node_id"] for one in running(self.cluster.details(), stage)}

    def release(self, version: str) -> str:
        return make_release(self._directory / f"release-{version}.zip", version)

    def versions(self) -> set[str]:
        """Of the code that answers, asked of every proxy several times."""
        return {
            httpx.get(f"{url}/openapi.json", timeout=30, trust_env=False).json()["info"]["version"]
            for url in self.addresses.ready
            for _ in range(6)
        }

    def labels(self, gallery: str) -> list[str]:
        """Of all templates that the store holds."""
        store = GalleryStore(self._database.url())
        try:
            return store.page(store.entry(gallery).info, -1, 1_000_000).labels
        finally:
            store.close()
