"""Whatever happens in whatever order, on both databases, searches of two replicas are right: of the
whole galleries and of their shards, from the store, from snapshots, also from torn ones.

The oracle is ``oracle.Gallery``.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from serve_app.errors import FaceServeError, GalleryNotFoundError
from serve_app.index.gallery.sealing import TEMPLATES_FILE, VECTORS_FILE
from serve_app.index.mutations import Add, Create, Drop, Mutation, Optimize, Remove, RemoveLabel
from serve_app.index.records import SearchRequest
from serve_app.index.snapshots.manifest import MANIFEST
from serve_app.index.upkeep.keeper import Housekeeping
from serve_app.index.upkeep.rules import UpkeepRules, wants_build
from serve_app.types import Embeddings, IndexType, Metric, Receipt, SearchResult, Shard

from .damage import tear
from .oracle import PEOPLE, POOL, Gallery, people
from .replica import HALVES, WHOLE, Replica
from .samples import MODEL, vectors
from .snapshotting import keeper_of

SHARDS = (WHOLE, *HALVES)
Way = Callable[[Replica, Sequence[SearchRequest]], Sequence[object]]
WAYS: tuple[Way, ...] = (Replica.search, Replica.search_shards)
EVERYONE = 100_000
INLINE = (2000, 20)
"""Of the two replicas: what one reads at once, the other reads beside."""

counts = st.sampled_from([0, 1, 2, 7, 30, 400])
seeds = st.integers(0, 1000)
replicas = st.integers(0, 1)
shards = st.sampled_from(SHARDS)
asked = st.sampled_from([[0, 1], [1, 0], [0], [1], []])
"""Replicas that are searched after it: the others fall behind."""

keys = st.sampled_from([str(index_type) for index_type in IndexType])
"""There is a gallery of each type, which gives it its name."""


class Galleries(RuleBasedStateMachine):
    """Two replicas of one database and one directory of snapshots, each of them both whole and in
    two shards.

    Few rules that do much: Hypothesis switches rules off at random, and would else do nothing but
    restart.
    """

    def __init__(self, url: str, snapshots: Path) -> None:
        super().__init__()
        self._url = url
        self._snapshots = snapshots
        self.model: dict[str, Gallery] = {}
        self.said: list[tuple[Mutation, Receipt]] = []
        self._open()

    def _open(self) -> None:
        self.replicas = [self._replica(number) for number in range(2)]

    def _replica(self, number: int) -> Replica:
        return Replica(self._url, self._snapshots, SHARDS, inline=INLINE[number])

    def _close(self) -> None:
        for replica in self.replicas:
            replica.close()

    def teardown(self) -> None:
        for key in self.model:
            self.replicas[0].store.do(Drop(key))
        self._close()

    def _do(self, mutation: Mutation, replica: int = 0) -> Receipt:
        receipt = self.replicas[replica].store.do(mutation)
        self.said.append((mutation, receipt))
        return receipt

    @initialize(
        metrics=st.tuples(*[st.sampled_from(Metric)] * 3),
        counts=st.tuples(counts, counts),
        seed=seeds,
    )
    def create(self, metrics: Sequence[Metric], counts: tuple[int, int], seed: int) -> None:
        sizes = [counts[0], 400, counts[1]]  # 390 train the IVF
        for index_type, metric, count in zip(IndexType, metrics, sizes, strict=True):
            self._create(str(index_type), metric, count, seed)

    def _create(self, key: str, metric: Metric, count: int, seed: int) -> None:
        labels, enrolled = people(count, seed)
        embeddings = Embeddings(MODEL, enrolled)
        receipt = self._do(Create(key, key, metric, labels, embeddings, with_labels=True))
        gallery = self.model[key] = Gallery(key, key, metric)
        assert receipt == gallery.receipt(gallery.enrol(labels, enrolled))

    @rule(replica=replicas, key=keys, count=counts, seed=seeds, asked=asked)
    def add(self, replica: int, key: str, count: int, seed: int, asked: list[int]) -> None:
        gallery = self.model[key]
        labels, enrolled = people(count, seed)
        mutation = Add(key, labels, Embeddings(MODEL, enrolled), with_labels=True)
        receipt = self._do(mutation, replica)
        assert receipt == gallery.receipt(gallery.enrol(labels, enrolled))
        gallery.seq += count > 0
        self._search(asked, seed)

    @rule(replica=replicas, key=keys, seed=seeds, asked=asked, data=st.data())
    def remove(
        self, replica: int, key: str, seed: int, asked: list[int], data: st.DataObject
    ) -> None:
        gallery = self.model[key]
        single = st.sampled_from([*gallery.templates, -1]).map(lambda number: [number])
        some = st.lists(st.integers(-2, gallery.next_id + 2), max_size=20)
        every = st.sampled_from([2, 3, 10]).map(lambda step: list(range(0, gallery.next_id, step)))
        label = st.sampled_from(people(PEOPLE, 0)[0])
        wanted = data.draw(
            single | every | some | label | st.just(list(range(gallery.next_id))), label="wanted"
        )
        for _ in range(2):  # a repetition changes nothing
            if isinstance(wanted, str):
                receipt = self._do(RemoveLabel(key, wanted), replica)
                gone = gallery.remove(gallery.labelled(wanted))
            else:
                receipt = self._do(Remove(key, wanted, with_labels=True), replica)
                gone = gallery.remove(wanted)
            assert receipt == gallery.receipt(gone, with_labels=not isinstance(wanted, str))
        self._search(asked, seed)

    @rule(replica=replicas, key=keys, shard=shards, seed=seeds, asked=asked)
    def build(self, replica: int, key: str, shard: Shard, seed: int, asked: list[int]) -> None:
        row = self.replicas[replica].build(key, shard)
        assert row is not None
        assert row.seq == self.model[key].seq
        self._search(asked, seed)

    @rule(replica=replicas, key=keys, shard=shards, hurry=st.booleans(), asked=asked, seed=seeds)
    def look_after(
        self, replica: int, key: str, shard: Shard, hurry: bool, asked: list[int], seed: int
    ) -> None:
        """Somebody asks for a fresh index; a keeper looks. In a hurry no snapshot may hold what was
        removed, nor may the store keep the removals."""
        kept_by = self.replicas[replica]
        self._do(Optimize(key), replica)
        rules = UpkeepRules(exact_until=50, erase_within_s=0.0 if hurry else 3600.0)
        housekeeping = Housekeeping(tombstones=0 if hurry else 100)
        keeper_of(kept_by, shard, rules, housekeeping).look()
        for standing in kept_by.store.standings(shard, 0):
            assert not wants_build(standing, shard, rules, time.time())
            if hurry and standing.snapshot is not None:
                assert standing.snapshot.seq >= standing.removed_seq
        self._search(asked, seed)

    @rule(key=keys, metric=st.sampled_from(Metric), count=counts, seed=seeds, asked=asked)
    def drop(self, key: str, metric: Metric, count: int, seed: int, asked: list[int]) -> None:
        """And build it anew, with other content."""
        gallery = self.model.pop(key)
        assert self._do(Drop(key)) == gallery.receipt([], with_labels=False)
        self._search(asked, seed, absent=key)
        self._create(key, metric, count, seed)
        self._search(asked, seed)

    @rule(replica=replicas, data=st.data())
    def send_again(self, replica: int, data: st.DataObject) -> None:
        """An answer was lost: it is done once, and answered as it was. Labels that went since are
        left out, and nothing comes back."""
        mutation, receipt = data.draw(st.sampled_from(self.said), label="again")
        again = self.replicas[replica].store.do(mutation)
        assert (again.ids, again.count, again.key) == (receipt.ids, receipt.count, receipt.key)
        assert (again.labels or {}).items() <= (receipt.labels or {}).items()

    @rule(asked=asked, seed=seeds)
    def search(self, asked: list[int], seed: int) -> None:
        self._search(asked, seed)

    @rule(
        replica=replicas,
        key=keys,
        shard=shards,
        file=st.sampled_from([VECTORS_FILE, TEMPLATES_FILE, MANIFEST]),
        how=st.sampled_from(["cut", "flip", "delete"]),
        seed=seeds,
    )
    def damage(self, replica: int, key: str, shard: Shard, file: str, how: str, seed: int) -> None:
        """The newest snapshot is torn, and a replica starts; it answers as if it were not. The
        other one may have read it before."""
        row = self.replicas[1 - replica].build(key, shard)
        assert row is not None
        if seed % 2:
            self._search([1 - replica], seed)
        for each in self.replicas:
            each.settle()
        tear(self._snapshots / row.name / file, how, np.random.default_rng(seed).random())
        self._restart(replica)
        for way in WAYS:
            self._search([replica], seed, way=way, top_k=EVERYONE)

    @rule(replica=replicas, what=st.sampled_from(["settle", "restart", "crash", "prune"]))
    def happen(self, replica: int, what: str) -> None:
        if what == "settle":
            self.replicas[replica].settle()
        elif what == "restart":
            self._restart(replica)
        elif what == "prune":
            self.replicas[replica].store.prune(3600, 0)
        else:
            self._close()
            self._open()

    def _restart(self, replica: int) -> None:
        self.replicas[replica].close()
        self.replicas[replica] = self._replica(replica)

    def _search(
        self,
        asked: list[int],
        seed: int,
        *,
        absent: str = "nobody",
        way: Way | None = None,
        top_k: int | None = None,
    ) -> None:
        """Every gallery and one that is not there, in one batch, of each replica asked."""
        chance = np.random.default_rng(seed)
        most = int(chance.choice([0, 1, 3, 10, EVERYONE])) if top_k is None else top_k
        requests = []
        for key in (*self.model, absent):
            known = POOL[chance.integers(0, len(POOL), 2)]
            probes = np.concatenate([known, vectors(2, seed=seed)])
            requests.append(SearchRequest(key, Embeddings(MODEL, probes), most))
        for replica in asked:
            chosen = way or WAYS[chance.integers(len(WAYS))]
            *answers, nobody = chosen(self.replicas[replica], requests)
            assert isinstance(nobody, GalleryNotFoundError)
            for request, answer in zip(requests[:-1], answers, strict=True):
                self._check(request, answer)

    def _check(self, request: SearchRequest, answer: object) -> None:
        if isinstance(answer, FaceServeError):
            raise answer
        assert isinstance(answer, SearchResult)
        gallery = self.model[request.key]
        assert answer.metric is gallery.metric
        assert not answer.stale
        for probe, candidates in zip(request.probes.vectors, answer.candidates, strict=True):
            gallery.check(probe, request.top_k, candidates)

    @invariant()
    def the_store_counts_mutations(self) -> None:
        told = self.replicas[0].store.describe(list(self.model))
        assert {key: (info.seq, info.size, info.next_id) for key, info in told.items()} == {
            key: (gallery.seq, len(gallery.templates), gallery.next_id)
            for key, gallery in self.model.items()
        }


@pytest.mark.soak
def test_galleries(database_url: str, tmp_path: Path, soak: bool) -> None:
    numbers = itertools.count()

    class Here(Galleries):
        def __init__(self) -> None:
            super().__init__(database_url, tmp_path / f"snapshots {next(numbers)}")

    run_state_machine_as_test(
        Here,
        settings=settings(
            max_examples=400 if soak else 16,
            stateful_step_count=40 if soak else 20,
            deadline=None,
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
            # With a disk under it, shrinking takes minutes: turn it on to look into a failure.
            phases=[Phase.explicit, Phase.reuse, Phase.generate],
        ),
    )
