"""A replica in a process of its own, as another cluster on the same database has them."""

from __future__ import annotations

import multiprocessing
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from multiprocessing.connection import Connection
from pathlib import Path

from serve_app.index.gallery import set_faiss_threads
from serve_app.types import Shard
from tests.index.replica import Replica

from .galleries import ReplicaClient
from .scenario import Refused, Unknown

START_S = 60


class RemoteClient:
    """A client of the other process's replica, whose connection is its own."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def add(self, labels: Sequence[str]) -> tuple[list[int], int]:
        return self._change("add", labels)

    def remove(self, ids: Sequence[int]) -> tuple[list[int], int]:
        return self._change("remove", ids)

    def search(self, label: str | None) -> set[int]:
        found = self._call("search", label)
        assert isinstance(found, set)
        return found

    def _change(self, method: str, argument: object) -> tuple[list[int], int]:
        answer = self._call(method, argument)
        assert isinstance(answer, tuple)
        return answer

    def _call(self, method: str, argument: object) -> object:
        self._connection.send((method, argument))
        answer = self._connection.recv()
        if isinstance(answer, BaseException):
            raise answer
        return answer


@contextmanager
def second_cluster(
    url: str, snapshots: Path, key: str, shards: Sequence[Shard], clients: int, *, sharded: bool
) -> Iterator[list[RemoteClient]]:
    """``clients`` of a replica in a new process; it is gone afterwards."""
    context = multiprocessing.get_context("spawn")  # a fork would share the database's connections
    pipes = [context.Pipe() for _ in range(clients)]
    theirs = [there for _, there in pipes]
    process = context.Process(target=serve, args=(url, snapshots, key, shards, sharded, theirs))
    process.start()
    try:
        for here, there in pipes:
            there.close()
            assert here.poll(START_S)
            assert here.recv() == "ready"
        yield [RemoteClient(here) for here, _ in pipes]
    finally:
        for here, _ in pipes:
            here.close()  # which ends its thread there
        process.join(START_S)
        process.kill()
    assert process.exitcode == 0


def serve(
    url: str,
    snapshots: Path,
    key: str,
    shards: Sequence[Shard],
    sharded: bool,
    connections: Sequence[Connection],
) -> None:
    """The process: a thread for each connection, until it is closed."""
    set_faiss_threads(1)
    replica = Replica(url, snapshots, shards)

    def answer(connection: Connection) -> None:
        client = ReplicaClient(replica, key, sharded=sharded)
        connection.send("ready")
        while True:
            try:
                method, argument = connection.recv()
            except EOFError:
                return
            try:
                reply = getattr(client, method)(argument)
            except (Refused, Unknown) as outcome:
                reply = outcome
            except Exception as error:
                reply = RuntimeError(f"{type(error).__name__}: {error}")
            connection.send(reply)

    threads = [threading.Thread(target=answer, args=(each,)) for each in connections]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    replica.close()
