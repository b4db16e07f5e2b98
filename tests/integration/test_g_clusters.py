"""Two Ray clusters on one PostgreSQL: consistent while replicas, services and the database die."""

from __future__ import annotations

import os
import random
import shutil
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

import psutil
import pytest

from serve_app.index.store import GalleryStore
from tests.conftest import open_server
from tests.integration.http_client import EmptiedModel, HttpClient, Names, build_empty
from tests.integration.pictures import gallery_image, scene
from tests.integration.service import Service, small_cluster
from tests.linearizability.checker import require_linearizable
from tests.linearizability.history import History
from tests.linearizability.scenario import run
from tests.postgresql import PostgresServer

SOAK = os.environ.get("FACE_SERVE_SOAK") == "1"
DOWN_S = 20

pytestmark = pytest.mark.soak


@contextmanager
def cluster(database_url: str, shards: int = 1) -> Iterator[Service]:
    directory = Path(tempfile.mkdtemp(prefix="fs-", dir="/tmp"))
    service = Service(
        directory,
        partial(small_cluster, shards=shards),
        {"FACE_SERVE_DATABASE_URL": database_url},
    )
    try:
        service.start()
        yield service
    finally:
        service.stop()
        closed, left = service.is_closed(), service.left_behind
        shutil.rmtree(directory, ignore_errors=True)
    assert closed, "a port is still open: an orphaned haproxy?"
    assert not left, "processes outlived the service"


@pytest.fixture(scope="module")
def database() -> Iterator[PostgresServer]:
    """A server of this module's own: it is stopped."""
    server = open_server()
    GalleryStore(server.url(), migrate=True).close()
    yield server
    server.close()


@pytest.fixture(scope="module")
def clusters(database: PostgresServer) -> Iterator[list[Service]]:
    """Two, the second with two shards; two replicas of each Index deployment."""
    with ExitStack() as stack:
        yield [stack.enter_context(cluster(database.url(), shards)) for shards in (1, 2)]


@contextmanager
def killing(services: Sequence[Service], every_s: float) -> Iterator[list[int]]:
    """Kill a random Index replica now and then."""
    stop = threading.Event()
    killed: list[int] = []
    chance = random.Random(1)

    def kill() -> None:
        while not stop.wait(every_s):
            victims = chance.choice(services).replicas("Index")
            if victims:
                victim = chance.choice(victims)
                victim.kill()
                killed.append(victim.pid)

    thread = threading.Thread(target=kill)
    thread.start()
    try:
        yield killed
    finally:
        stop.set()
        thread.join()


def mixed_load(services: Sequence[Service], key: str, operations: int) -> History:
    names = Names()
    return run(
        lambda _: HttpClient(services, names, key),
        clients=8,
        operations=operations,
        seconds=1800 if SOAK else 60,
    )


def infer(service: Service, consistency: str) -> tuple[int, object]:
    body = {"image": scene(1), "indexKey": "people", "visualize": False}
    reply = service.post("/face-recognition-infer", {**body, "consistency": consistency})
    return reply.status_code, reply.json().get("result", {}).get("stale", False)


def add(service: Service, label: str) -> int:
    pairs = [{"image": gallery_image(2), "label": label}]
    reply = service.post(
        "/face-recognition-index-add", {"imageLabelPairs": pairs, "indexKey": "people"}
    )
    return reply.status_code


@pytest.mark.timeout(300)
def test_the_database_is_down_for_a_while(
    clusters: list[Service], database: PostgresServer
) -> None:
    """Strong searches and writes answer 503, eventual searches go on and say so; then all is well
    again, without a restart."""
    build_empty(clusters[0], "people")
    assert add(clusters[0], "before") == 200
    for service in clusters:
        for _ in range(16):  # every replica has it in memory
            assert infer(service, "strong") == (200, False)
            assert infer(service, "eventual") == (200, False)
    database.stop()
    try:
        end = time.monotonic() + DOWN_S
        slowest = 0.0
        while time.monotonic() < end:
            for service in clusters:
                started = time.monotonic()
                assert infer(service, "eventual") == (200, True)
                slowest = max(slowest, time.monotonic() - started)
                assert infer(service, "strong") == (503, False)
                assert add(service, "meanwhile") == 503
    finally:
        database.start()
    assert slowest < 5
    deadline = time.monotonic() + 30
    while any(infer(service, "strong")[0] != 200 for service in clusters):
        assert time.monotonic() < deadline
        time.sleep(0.2)
    assert add(clusters[1], "after") == 200
    for service in clusters:
        assert infer(service, "strong") == (200, False)
        assert infer(service, "eventual") == (200, False)
    listed = clusters[0].get("/v1/galleries/people/templates").json()["result"]["templates"]
    assert [one["label"] for one in listed] == ["before", "after"]


@pytest.mark.timeout(2400 if SOAK else 420)
def test_two_clusters_are_one_service(
    clusters: list[Service], capsys: pytest.CaptureFixture[str]
) -> None:
    """Must hold 1 and 3: mixed load from eight clients on two clusters, one of them sharded, while
    Index replicas are killed: every answer fits one order of all that was done."""
    build_empty(clusters[0], "shared")
    with killing(clusters, every_s=2.5) as killed:
        history = mixed_load(clusters, "shared", 500 if SOAK else 60)
    known = sum(operation.known for operation in history.operations)
    with capsys.disabled():
        print(
            f"\n{len(history.operations)} operations on two clusters, {known} answered, "
            f"{len(killed)} Index replicas killed"
        )
    assert killed
    require_linearizable(history, EmptiedModel)


@pytest.mark.skipif(not SOAK, reason="make soak: 20 rounds of starting a cluster")
@pytest.mark.timeout(3600)
def test_the_whole_service_is_killed(
    database: PostgresServer, capsys: pytest.CaptureFixture[str]
) -> None:
    """Must hold 1: 20 rounds; what was acknowledged before a kill is there after the next start."""
    histories = []
    names = Names()
    with database.database() as url:
        GalleryStore(url, migrate=True).close()
        for number in range(20):
            directory = Path(tempfile.mkdtemp(prefix="fs-", dir="/tmp"))
            service = Service(directory, small_cluster, {"FACE_SERVE_DATABASE_URL": url})
            service.start()
            if number == 0:
                build_empty(service, "people")
            timer = threading.Timer(random.Random(number).uniform(1, 4), kill_all, [service])
            timer.start()
            histories.append(
                run(
                    partial(client_of, service, names),
                    clients=8,
                    operations=60,
                    seconds=6,
                    seed=number,
                )
            )
            timer.join()
            service.stop()
            shutil.rmtree(directory, ignore_errors=True)
        history = History.of(*(part.operations for part in histories))
        with capsys.disabled():
            print(f"\n{len(history.operations)} operations over 20 killed services")
        require_linearizable(history, EmptiedModel)


def client_of(service: Service, names: Names, _: int) -> HttpClient:
    return HttpClient([service], names, "people")


def kill_all(service: Service) -> None:
    """The whole tree at once, by their ids."""
    for process in service.processes():
        try:
            process.kill()
        except psutil.NoSuchProcess:
            continue
