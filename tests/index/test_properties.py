"""A state machine against brute force: whatever happens in whatever order, searches are right."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import numpy as np
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from serve_app.index.cache import GalleryCache
from serve_app.index.records import SearchRequest
from serve_app.index.store import GalleryStore
from serve_app.types import Embeddings, IndexType, Metric, SearchResult, Vectors

from .samples import DIMENSION, MODEL, vectors

KEY = "people"


class Galleries(RuleBasedStateMachine):
    """Two replicas on one store; the oracle is a dictionary."""

    def __init__(self) -> None:
        super().__init__()
        self.directory = Path(tempfile.mkdtemp(prefix="fs-"))
        self.url = f"sqlite:///{self.directory / 'g.db'}"
        self.store = GalleryStore(self.url)
        self.caches = [GalleryCache(self.store), GalleryCache(self.store)]
        self.templates: dict[int, tuple[str, Vectors]] = {}
        self.next_id = 0
        self.seed = 0

    @initialize(
        index_type=st.sampled_from(list(IndexType)),
        metric=st.sampled_from(list(Metric)),
        count=st.integers(0, 5),
    )
    def create(self, index_type: IndexType, metric: Metric, count: int) -> None:
        self.metric = metric
        labels, enrolled = self.people(count)
        receipt = self.store.create(
            KEY, index_type, metric, labels, Embeddings(MODEL, enrolled), with_labels=True
        )
        self.remember(receipt.ids, labels, enrolled)
        assert receipt.labels == {i: label for i, (label, _) in self.templates.items()}

    @rule(count=st.sampled_from([1, 2, 7, 150]))
    def add(self, count: int) -> None:
        labels, enrolled = self.people(count)
        receipt = self.store.add(KEY, labels, Embeddings(MODEL, enrolled), with_labels=False)
        self.remember(receipt.ids, labels, enrolled)
        assert receipt.count == len(self.templates)

    @rule(data=st.data())
    def remove(self, data: st.DataObject) -> None:
        some = st.integers(-2, self.next_id + 2)
        wanted = data.draw(st.lists(some, max_size=20) | st.just(list(self.templates)[::2]))
        receipt = self.store.remove(KEY, wanted, with_labels=False)
        assert set(receipt.ids) == set(wanted) & self.templates.keys()
        for number in receipt.ids:
            del self.templates[number]
        assert receipt.count == len(self.templates)

    @rule(replica=st.integers(0, 1), top_k=st.integers(1, 6), known=st.booleans())
    def search(self, replica: int, top_k: int, known: bool) -> None:
        probes = vectors(2, seed=10_000 + self.seed)
        if known and self.templates:
            probes[0] = list(self.templates.values())[-1][1]
        request = SearchRequest(KEY, Embeddings(MODEL, probes), top_k)
        (answer,) = self.caches[replica].search([request])
        assert isinstance(answer, SearchResult)
        for probe, candidates in zip(probes, answer.candidates, strict=True):
            truth = self.brute_force(probe)
            assert len(candidates) == min(top_k, len(truth))
            scores = [candidate.score for candidate in candidates]
            nearest = sorted(truth.values(), reverse=self.metric is Metric.IP)[: len(scores)]
            np.testing.assert_allclose(scores, nearest, atol=1e-4)
            for candidate in candidates:
                assert candidate.label == self.templates[candidate.template_id][0]
                np.testing.assert_allclose(candidate.score, truth[candidate.template_id], atol=1e-4)

    @rule(replica=st.integers(0, 1))
    def finish_rebuilding(self, replica: int) -> None:
        self.caches[replica].wait_for_rebuilds()

    @rule(replica=st.integers(0, 1))
    def replica_dies(self, replica: int) -> None:
        self.caches[replica].close()
        self.caches[replica] = GalleryCache(self.store)

    @precondition(lambda self: self.next_id > 0)
    @rule()
    def everything_restarts(self) -> None:
        for cache in self.caches:
            cache.close()
        self.store.close()
        self.store = GalleryStore(self.url)
        self.caches = [GalleryCache(self.store), GalleryCache(self.store)]

    @invariant()
    def ids_only_grow(self) -> None:
        assert all(number < self.next_id for number in self.templates)

    def people(self, count: int) -> tuple[list[str], Vectors]:
        self.seed += 1
        return [f"person {self.seed}-{i}" for i in range(count)], vectors(count, seed=self.seed)

    def remember(self, ids: list[int], labels: list[str], enrolled: Vectors) -> None:
        assert ids == list(range(self.next_id, self.next_id + len(labels)))
        self.next_id += len(labels)
        self.templates |= dict(zip(ids, zip(labels, enrolled, strict=True), strict=True))

    def brute_force(self, probe: Vectors) -> dict[int, float]:
        def score(vector: Vectors) -> float:
            if self.metric is Metric.IP:
                return float(probe @ vector)
            return float(((probe - vector) ** 2).sum())

        return {number: score(vector) for number, (_, vector) in self.templates.items()}

    def teardown(self) -> None:
        for cache in self.caches:
            cache.close()
        self.store.close()
        shutil.rmtree(self.directory, ignore_errors=True)


assert DIMENSION == 8, "small enough that HNSW and IVF find everything that brute force finds"

TestGalleries = Galleries.TestCase
TestGalleries.settings = settings(
    max_examples=25, stateful_step_count=20, deadline=None, suppress_health_check=list(HealthCheck)
)
