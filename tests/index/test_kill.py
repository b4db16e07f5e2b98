"""A killed process leaves every mutation that it acknowledged, none by half, and none twice when
it is sent again; what it was building does no harm."""

from __future__ import annotations

import contextlib
import random
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import create_engine, text

from serve_app.index.loading import Loader
from serve_app.index.records import SearchRequest
from serve_app.index.snapshots.manifest import MANIFEST
from serve_app.index.store import GalleryStore
from serve_app.types import IndexType, Metric, SearchResult

from .killed import A_MUTATION, EVERYONE, KEY, Mortal, Said, There
from .replica import WHOLE, Replica
from .samples import embeddings

ROUNDS = {"sqlite": (10, 300), "postgresql": (5, 100)}
"""Of opening, writing and dying: in ``make test`` and in ``make soak``."""


@pytest.mark.soak
def test_killed_at_any_moment(database_url: str, tmp_path: Path, soak: bool) -> None:
    store = GalleryStore(database_url)
    store.create(KEY, IndexType.FLAT, Metric.IP, [], embeddings(0), with_labels=False)
    store.close()
    rounds = ROUNDS[database_url.partition(":")[0].partition("+")[0]][soak]
    with mortal(database_url, tmp_path / "snapshots") as process:
        record = Record(database_url, tmp_path / "snapshots")
        for life in range(1, 10 * rounds + 1):
            if life > rounds and record.acknowledged > rounds:
                break  # on a machine that is busy many lives are too short to begin anything
            seconds = record.chance.uniform(0, 0.6)
            record.take(process.live_and_be_killed(record.there, life, seconds))
            record.verify()
    print(
        f"{rounds} rounds: {record.acknowledged} acknowledged, {record.interrupted} interrupted, "
        f"{record.done_after_all} of these done, {record.from_snapshot} starts from a snapshot"
    )
    assert record.acknowledged > rounds
    assert record.interrupted
    assert record.from_snapshot
    assert record.there


@contextlib.contextmanager
def mortal(url: str, snapshots: Path) -> Iterator[Mortal]:
    process = Mortal(url, snapshots)
    try:
        yield process
    finally:
        process.end()


class Record:
    """What must be there by what was said."""

    def __init__(self, url: str, snapshots: Path) -> None:
        self._url = url
        self._snapshots = snapshots
        self.chance = random.Random(0)
        self.there: There = {}
        self._unfinished: list[Said] = []
        self._finished: list[tuple[Said, list[int]]] = []
        self._given: set[int] = set()
        self._mutations = 0
        self.acknowledged = self.interrupted = self.done_after_all = self.from_snapshot = 0

    def take(self, lines: list[list[object]]) -> None:
        """What a life said from its beginning to its end."""
        begun: dict[str, Said] = {}
        for verb, operation, *rest in lines:
            assert verb in {"add", "remove", "done"}, (verb, operation, rest)
            if verb != "done":
                begun[str(operation)] = Said(str(verb), str(operation), *rest)  # type: ignore[arg-type]
            else:
                self.acknowledged += 1
                self._finish(begun.pop(str(operation)), rest[1])  # type: ignore[arg-type]
        self._unfinished = list(begun.values())
        self.interrupted += len(begun)

    def _finish(self, said: Said, ids: list[int]) -> None:
        self._mutations += 1
        self._finished = [*self._finished[-50:], (said, ids)]
        if said.verb == "remove":
            assert self.there.pop(said.number) == ids == said.ids
            return
        assert len(ids) == A_MUTATION
        assert not self._given & set(ids), "an id was given twice"
        self._given.update(ids)
        self.there[said.number] = ids

    def verify(self) -> None:
        """Look, send again what was not answered, and look again."""
        replica = Replica(self._url, self._snapshots)
        if self.chance.random() < 0.5:  # else at once, while a server may still be at it
            wait_for_orphans(self._url)
            found = self._look(replica)
            for said in self._unfinished:
                before = said.number in self.there
                self.done_after_all += (said.number in found) != before
            changing = {said.number for said in self._unfinished}
            assert {n: ids for n, ids in found.items() if n not in changing} == {
                n: ids for n, ids in self.there.items() if n not in changing
            }
            assert all(found[n] == self.there.get(n, found[n]) for n in changing & found.keys())
        for said in self._unfinished:
            self._finish(said, replica.store.do(said.mutation()).ids)
        for said, ids in self.chance.sample(self._finished, min(5, len(self._finished))):
            assert replica.store.do(said.mutation()).ids == ids
        assert self._look(replica) == self.there
        info = replica.store.describe([KEY])[KEY]
        assert self._given == set(range(info.next_id))
        assert info.seq == 1 + self._mutations
        assert info.size == A_MUTATION * len(self.there)
        replica.close()

    def _look(self, replica: Replica) -> There:
        """What is found: additions, each of them whole, the same in the store and by a search that
        may start from a snapshot; all finished snapshots are good."""
        info = replica.store.describe([KEY])[KEY]
        page = replica.store.page(info, -1, EVERYONE)
        found: There = defaultdict(list)
        for number, label in zip(page.ids, page.labels, strict=True):
            found[int(label)].append(number)
        for number, ids in found.items():
            assert len(ids) == A_MUTATION
            rows = [page.ids.index(each) for each in ids]
            assert np.array_equal(page.vectors[rows], embeddings(A_MUTATION, seed=number).vectors)
        (answer,) = replica.search([SearchRequest(KEY, embeddings(1), EVERYONE)])
        assert isinstance(answer, SearchResult)
        people = {each.template_id: each.label for each in answer.candidates[0]}
        assert people == dict(zip(page.ids, page.labels, strict=True))
        loaded = Loader(replica.store, WHOLE, replica.storage).load(info)
        self.from_snapshot += loaded.snapshot is not None
        for name in replica.storage.names():
            if (self._snapshots / name / MANIFEST).is_file():  # else it was being removed
                with replica.storage.opened(name):
                    pass
        return dict(found)


def wait_for_orphans(url: str) -> None:
    """A PostgreSQL server may still be carrying out what a killed client had sent."""
    if not url.startswith("postgresql"):
        return
    engine = create_engine(url, isolation_level="AUTOCOMMIT")
    others = text(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() "
        "AND pid <> pg_backend_pid() AND state <> 'idle'"
    )
    with engine.connect() as connection:
        deadline = time.monotonic() + 30
        while connection.execute(others).scalar_one():
            assert time.monotonic() < deadline
            time.sleep(0.01)
    engine.dispose()
