"""Whatever happens in whatever order, on two stores of one file, searches are right.

The oracle is brute force over a dictionary. Flat must equal it; of IVF and HNSW, which may miss
what is nearest, what holds without regard to recall is asked: nobody removed or unknown, the right
label and score, each once, nearest first.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    invariant,
    precondition,
    rule,
)

from serve_app.errors import GalleryExistsError, GalleryNotFoundError
from serve_app.index.cache import GalleryCache
from serve_app.index.records import SearchRequest
from serve_app.index.store import GalleryStore
from serve_app.types import (
    Candidate,
    Embeddings,
    IndexType,
    Metric,
    Receipt,
    SearchResult,
    Vectors,
)

from .samples import MODEL, vectors

POOL = vectors(64, seed=1)
"""Few different vectors: so galleries hold the same one many times, and probes hit it."""

counts = st.sampled_from([0, 1, 2, 7, 30, 400])  # 390 train an IVF
seeds = st.integers(0, 1000)
replicas = st.integers(0, 1)


@dataclass
class Gallery:
    """The oracle."""

    index_type: IndexType
    metric: Metric
    seq: int = 1
    next_id: int = 0
    templates: dict[int, tuple[str, Vectors]] = field(default_factory=dict)

    def enrol(self, labels: Sequence[str], enrolled: Vectors) -> list[int]:
        ids = list(range(self.next_id, self.next_id + len(labels)))
        self.templates |= dict(zip(ids, zip(labels, enrolled, strict=True), strict=True))
        self.next_id += len(labels)
        return ids

    def receipt(self, ids: list[int]) -> Receipt:
        labels = {number: label for number, (label, _) in sorted(self.templates.items())}
        return Receipt(ids, len(labels), labels)

    def check(self, probe: Vectors, top_k: int, candidates: list[Candidate]) -> None:
        found = [candidate.template_id for candidate in candidates]
        assert len(set(found)) == len(found) <= top_k
        assert set(found) <= self.templates.keys()
        assert [c.label for c in candidates] == [self.templates[n][0] for n in found]
        given = [candidate.score for candidate in candidates]
        assert given == pytest.approx([self.score(probe, n) for n in found], abs=1e-5)
        sign = -1 if self.metric is Metric.IP else 1
        keys = [(sign * score, number) for score, number in zip(given, found, strict=True)]
        assert keys == sorted(keys)
        if self.index_type is IndexType.FLAT:
            everyone = sorted(sign * self.score(probe, number) for number in self.templates)
            assert [sign * score for score in given] == pytest.approx(everyone[:top_k], abs=1e-5)

    def score(self, probe: Vectors, number: int) -> float:
        left, right = probe.astype(float), self.templates[number][1].astype(float)
        return float(left @ right if self.metric is Metric.IP else ((left - right) ** 2).sum())


class Galleries(RuleBasedStateMachine):
    """Two replicas, each with a store of its own on the same file."""

    keys = Bundle("keys")
    removed = Bundle("removed")

    def __init__(self) -> None:
        super().__init__()
        self._directory = tempfile.TemporaryDirectory()
        self._url = f"sqlite:///{Path(self._directory.name) / 'galleries.sqlite'}"
        self.model: dict[str, Gallery] = {}
        self._open()

    def _open(self) -> None:
        self.stores = [GalleryStore(self._url) for _ in range(2)]
        self.caches = [GalleryCache(store) for store in self.stores]

    def _close(self) -> None:
        for cache in self.caches:
            cache.close()
        for store in self.stores:
            store.close()

    def teardown(self) -> None:
        self._close()
        self._directory.cleanup()

    @precondition(lambda self: len(self.model) < 4)
    @rule(
        target=keys,
        replica=replicas,
        index_type=st.sampled_from(IndexType),
        metric=st.sampled_from(Metric),
        count=counts,
        seed=seeds,
    )
    def create(
        self, replica: int, index_type: IndexType, metric: Metric, count: int, seed: int
    ) -> str:
        key = f"gallery-{len(self.model)}"
        labels, enrolled = people(count, seed)
        receipt = self.stores[replica].create(
            key, index_type, metric, labels, Embeddings(MODEL, enrolled), with_labels=True
        )
        self.model[key] = Gallery(index_type, metric)
        assert receipt == self.model[key].receipt(self.model[key].enrol(labels, enrolled))
        return key

    @rule(replica=replicas, key=keys)
    def create_again(self, replica: int, key: str) -> None:
        with pytest.raises(GalleryExistsError):
            self.stores[replica].create(
                key, IndexType.FLAT, Metric.IP, ["x"], Embeddings(MODEL, POOL[:1]), with_labels=True
            )

    @rule(replica=replicas, key=keys, count=counts, seed=seeds)
    def add(self, replica: int, key: str, count: int, seed: int) -> None:
        labels, enrolled = people(count, seed)
        receipt = self.stores[replica].add(
            key, labels, Embeddings(MODEL, enrolled), with_labels=True
        )
        gallery = self.model[key]
        assert receipt == gallery.receipt(gallery.enrol(labels, enrolled))
        gallery.seq += count > 0

    @rule(target=removed, replica=replicas, key=keys, data=st.data())
    def remove(self, replica: int, key: str, data: st.DataObject) -> tuple[str, list[int]]:
        gallery = self.model[key]
        some = st.lists(st.integers(-2, gallery.next_id + 2), max_size=20)
        every = st.sampled_from([1, 2, 3]).map(lambda step: list(range(0, gallery.next_id, step)))
        wanted = data.draw(some | every)
        return key, self._remove(replica, key, wanted)

    @rule(replica=replicas, again=consumes(removed))
    def remove_again(self, replica: int, again: tuple[str, list[int]]) -> None:
        assert self._remove(replica, *again) == []

    def _remove(self, replica: int, key: str, wanted: list[int]) -> list[int]:
        gallery = self.model[key]
        gone = sorted(set(wanted) & gallery.templates.keys())
        for number in gone:
            del gallery.templates[number]
        gallery.seq += len(gone) > 0
        receipt = self.stores[replica].remove(key, wanted, with_labels=True)
        assert receipt == gallery.receipt(gone)
        return gone

    @rule(
        replica=replicas,
        wanted=st.lists(
            st.tuples(keys, st.sampled_from([0, 1, 3, 10, 5000]), st.integers(0, 3)), max_size=4
        ),
        seed=seeds,
    )
    def search(self, replica: int, wanted: list[tuple[str, int, int]], seed: int) -> None:
        chance = np.random.default_rng(seed)
        requests = [SearchRequest("nobody", Embeddings(MODEL, POOL[:1]), 5)]
        for key, top_k, count in wanted:
            known = POOL[chance.integers(0, len(POOL), count)]
            probes = known if chance.random() < 0.5 else vectors(count, seed=seed)
            requests.append(SearchRequest(key, Embeddings(MODEL, probes), top_k))
        nobody, *answers = self.caches[replica].search(requests)
        assert isinstance(nobody, GalleryNotFoundError)
        for request, answer in zip(requests[1:], answers, strict=True):
            assert isinstance(answer, SearchResult)
            gallery = self.model[request.key]
            assert answer.metric is gallery.metric
            for probe, candidates in zip(request.probes.vectors, answer.candidates, strict=True):
                gallery.check(probe, request.top_k, candidates)

    @rule(replica=replicas)
    def wait(self, replica: int) -> None:
        self.caches[replica].wait_for_rebuilds()

    @rule()
    def restart(self) -> None:
        self._close()
        self._open()

    @rule(replica=replicas)
    def replace_replica(self, replica: int) -> None:
        self.caches[replica].close()
        self.caches[replica] = GalleryCache(self.stores[replica])

    @invariant()
    def the_store_counts_mutations(self) -> None:
        told = self.stores[0].describe(list(self.model))
        assert {key: info.seq for key, info in told.items()} == {
            key: gallery.seq for key, gallery in self.model.items()
        }


def people(count: int, seed: int) -> tuple[list[str], Vectors]:
    chosen = np.random.default_rng(seed).integers(0, len(POOL), count)
    return [f"person {seed}-{number}" for number in chosen], POOL[chosen]


TestGalleries = Galleries.TestCase
TestGalleries.settings = settings(
    max_examples=20,
    stateful_step_count=20,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
