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
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from serve_app.errors import GalleryNotFoundError
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

counts = st.sampled_from([0, 1, 2, 7, 30, 400])
seeds = st.integers(0, 1000)
replicas = st.integers(0, 1)
asked = st.sampled_from([[0, 1], [1, 0], [0], [1], []])
"""Replicas that are searched after it: the others fall behind."""

keys = st.sampled_from([str(index_type) for index_type in IndexType])
"""There is a gallery of each type, which gives it its name."""


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
    """Two replicas, each with a store of its own on the same file.

    Few rules that do much: Hypothesis switches rules off at random, and would else do nothing but
    restart.
    """

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

    @initialize(
        metrics=st.tuples(*[st.sampled_from(Metric)] * 3),
        counts=st.tuples(counts, counts),
        seed=seeds,
    )
    def create(self, metrics: Sequence[Metric], counts: tuple[int, int], seed: int) -> None:
        sizes = [counts[0], 400, counts[1]]  # 390 train the IVF
        for index_type, metric, count in zip(IndexType, metrics, sizes, strict=True):
            labels, enrolled = people(count, seed)
            receipt = self.stores[0].create(
                index_type,
                index_type,
                metric,
                labels,
                Embeddings(MODEL, enrolled),
                with_labels=True,
            )
            gallery = self.model[index_type] = Gallery(index_type, metric)
            assert receipt == gallery.receipt(gallery.enrol(labels, enrolled))

    @rule(replica=replicas, key=keys, count=counts, seed=seeds, asked=asked)
    def add(self, replica: int, key: str, count: int, seed: int, asked: list[int]) -> None:
        gallery = self.model[key]
        labels, enrolled = people(count, seed)
        receipt = self.stores[replica].add(
            key, labels, Embeddings(MODEL, enrolled), with_labels=True
        )
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
        wanted = data.draw(single | every | some | st.just(list(range(gallery.next_id))))
        gone = sorted(set(wanted) & gallery.templates.keys())
        for number in gone:
            del gallery.templates[number]
        gallery.seq += len(gone) > 0
        for expected in (gone, []):  # a repetition changes nothing
            receipt = self.stores[replica].remove(key, wanted, with_labels=True)
            assert receipt == gallery.receipt(expected)
        self._search(asked, seed)

    @rule(asked=asked, seed=seeds)
    def search(self, asked: list[int], seed: int) -> None:
        self._search(asked, seed)

    def _search(self, asked: list[int], seed: int) -> None:
        """Every gallery and one that is not there, in one batch, of each replica asked."""
        chance = np.random.default_rng(seed)
        top_k = int(chance.choice([0, 1, 3, 10, 5000]))
        requests = []
        for key in (*self.model, "nobody"):
            known = POOL[chance.integers(0, len(POOL), 2)]
            probes = np.concatenate([known, vectors(2, seed=seed)])
            requests.append(SearchRequest(key, Embeddings(MODEL, probes), top_k))
        for replica in asked:
            *answers, nobody = self.caches[replica].search(requests)
            assert isinstance(nobody, GalleryNotFoundError)
            for request, answer in zip(requests[:-1], answers, strict=True):
                assert isinstance(answer, SearchResult)
                gallery = self.model[request.key]
                assert answer.metric is gallery.metric
                for probe, candidates in zip(
                    request.probes.vectors, answer.candidates, strict=True
                ):
                    gallery.check(probe, top_k, candidates)

    @rule(replica=replicas, what=st.sampled_from(["rebuild", "replace", "restart"]))
    def happen(self, replica: int, what: str) -> None:
        if what == "rebuild":
            self.caches[replica].wait_for_rebuilds()
        elif what == "replace":
            self.caches[replica].close()
            self.caches[replica] = GalleryCache(self.stores[replica])
        else:
            self._close()
            self._open()

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
    # With a disk under it, shrinking takes minutes: turn it on to look into a failure.
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
)
