"""Shards against one index and against brute force, with changes in the middle of searches.

Embeddings are such that every score is exact, however it is summed; many of them are equal.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from uuid import uuid4

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from serve_app.errors import FaceServeError, GalleryNotFoundError
from serve_app.index.batch import Answer
from serve_app.index.cache import GalleryCache
from serve_app.index.mutations import Drop
from serve_app.index.records import SearchRequest
from serve_app.index.sharding import ShardedSearch
from serve_app.index.store import GalleryStore
from serve_app.types import Candidate, Embeddings, GalleryInfo, Metric, SearchResult, Shard

from .samples import MODEL
from .watched import found, settled

CORNERS = [np.array(signs) / 2 for signs in itertools.product([1, -1], repeat=4)]
AXES = [sign * axis for axis in np.eye(4) for sign in (1, -1)]
EXACT = np.array(CORNERS + AXES, dtype=np.float32)
"""(24, 4) float32, unit vectors whose products are multiples of a quarter."""

State = dict[int, tuple[str, int]]
"""A gallery's members: id to label and row of ``EXACT``."""


@dataclass(frozen=True)
class Change:
    """``remove``: so manieth members of those that are there; ``anew``: built anew first."""

    add: tuple[int, ...] = ()
    remove: tuple[int, ...] = ()
    anew: bool = False


@dataclass(frozen=True)
class Look:
    """A search; ``between``: what happens just before each time that a shard is asked."""

    probes: tuple[int, ...]
    top_k: int
    between: tuple[Change | None, ...]


rows = st.integers(0, len(EXACT) - 1)
changes = st.builds(
    Change,
    add=st.lists(rows, max_size=6).map(tuple),
    remove=st.lists(st.integers(0, 40), max_size=4).map(tuple),
    anew=st.sampled_from([False] * 15 + [True]),
)
looks = st.builds(
    Look,
    probes=st.lists(rows, min_size=1, max_size=3).map(tuple),
    top_k=st.sampled_from([1, 2, 5, 1000]),
    between=st.one_of(st.just(()), st.lists(st.one_of(st.none(), changes), max_size=6).map(tuple)),
)


def scores(result: SearchResult) -> list[list[float]]:
    return [[candidate.score for candidate in near] for near in result.candidates]


class World:
    """One gallery: its shards' caches, an unsharded one, and every state that it was in."""

    def __init__(self, stores: list[GalleryStore], of: int, metric: Metric, inline: int) -> None:
        self.key = uuid4().hex
        self.metric = metric
        self.writer, *readers = stores
        self.whole = GalleryCache(self.writer)
        self.shards = [
            GalleryCache(readers[number % len(readers)], Shard(number, of), inline=inline)
            for number in range(of)
        ]
        self.states: list[State] = []
        self.renewals = 0
        self.between: list[Change | None] = []
        self.create()

    def close(self) -> None:
        for cache in [self.whole, *self.shards]:
            cache.close()
        self.writer.do(Drop(self.key))

    def create(self) -> None:
        self.writer.create(self.key, "Flat", self.metric, [], Embeddings(MODEL, EXACT[:0]),
                           with_labels=False)  # fmt: skip
        self.states.append({})

    def change(self, change: Change) -> None:
        if change.anew:
            self.writer.do(Drop(self.key))
            self.create()
            self.renewals += 1
        if change.add:
            labels = [f"{len(self.states)} {row}" for row in change.add]
            embeddings = Embeddings(MODEL, EXACT[list(change.add)])
            ids = self.writer.add(self.key, labels, embeddings, with_labels=False).ids
            new = dict(zip(ids, zip(labels, change.add, strict=True), strict=True))
            self.states.append(self.states[-1] | new)
        there = sorted(self.states[-1])
        gone = {there[each % len(there)] for each in change.remove} if there else set()
        if gone:
            self.writer.remove(self.key, sorted(gone), with_labels=False)
            left = {n: member for n, member in self.states[-1].items() if n not in gone}
            self.states.append(left)

    def look(self, look: Look) -> None:
        request = SearchRequest(self.key, Embeddings(MODEL, EXACT[list(look.probes)]), look.top_k)
        before, renewals = len(self.states) - 1, self.renewals
        self.between = list(look.between)
        sharded = ShardedSearch(
            [partial(self._ask, cache) for cache in self.shards], self._describe
        )
        (answer,) = asyncio.run(sharded.search([request]))
        if isinstance(answer, GalleryNotFoundError) and self.renewals > renewals:
            return  # the one that was asked for is no more
        if isinstance(answer, FaceServeError):
            raise answer
        # As of one moment since the search began: a prefix of what happened.
        assert any(self._is_of(state, look, answer) for state in self.states[before:])
        if len(self.states) - 1 == before:
            whole = found(self.whole, request)
            assert scores(answer) == scores(whole)
            if look.top_k > len(self.states[-1]):
                assert answer == whole

    def _is_of(self, state: State, look: Look, answer: SearchResult) -> bool:
        """Whether it is what brute force finds in a state. Of templates that are equally near at
        the cut FAISS takes any."""
        sign = -1 if self.metric is Metric.IP else 1
        ids = sorted(state)
        members = EXACT[[state[n][1] for n in ids]].reshape(-1, 4)
        for probe, near in zip(EXACT[list(look.probes)], answer.candidates, strict=True):
            products = members @ probe
            exact = products if self.metric is Metric.IP else 2 - 2 * products
            known = {
                Candidate(n, state[n][0], float(score)) for n, score in zip(ids, exact, strict=True)
            }
            order = [(sign * candidate.score, candidate.template_id) for candidate in near]
            best = sorted(sign * exact)[: look.top_k]
            if [score for score, _ in order] != best or order != sorted(set(order)):
                return False
            if not known.issuperset(near):
                return False
        return answer.metric is self.metric

    async def _ask(self, cache: GalleryCache, requests: list[SearchRequest]) -> list[Answer]:
        change = self.between.pop(0) if self.between else None
        if change is not None:
            self.change(change)
        return settled(cache.search(requests))

    async def _describe(self, keys: list[str]) -> Mapping[str, GalleryInfo]:
        return self.writer.describe(keys)


@pytest.fixture(scope="module")
def stores(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[GalleryStore]]:
    url = f"sqlite:///{tmp_path_factory.mktemp('shards') / 'galleries.sqlite'}"
    stores = [GalleryStore(url) for _ in range(3)]
    yield stores
    for store in stores:
        store.close()


@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    of=st.integers(1, 4),
    metric=st.sampled_from(Metric),
    inline=st.sampled_from([2000, 0]),
    steps=st.lists(st.one_of(changes, looks), min_size=1, max_size=8),
)
def test_shards_are_one_index(
    stores: list[GalleryStore],
    of: int,
    metric: Metric,
    inline: int,
    steps: list[Change | Look],
) -> None:
    world = World(stores, of, metric, inline)
    try:
        for step in steps:
            if isinstance(step, Look):
                world.look(step)
            else:
                world.change(step)
        world.look(Look((0, 17), 1000, ()))
    finally:
        world.close()


def test_a_search_without_moments_would_be_found_out(
    stores: list[GalleryStore], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The test itself is tested: shards that answer for their own newest state mix two states."""
    world = World(stores, 2, Metric.IP, 2000)
    world.change(Change(add=(0, 1, 2, 3)))
    ask = world._ask

    async def without(cache: GalleryCache, requests: list[SearchRequest]) -> list[Answer]:
        undated = [SearchRequest(r.key, r.probes, r.top_k) for r in requests]
        return await ask(cache, undated)

    monkeypatch.setattr(world, "_ask", without)
    with pytest.raises(AssertionError):
        # The first shard has answered when the first change comes, the second sees both.
        world.look(Look((0,), 1000, (None, Change(remove=(0, 1)))))
    monkeypatch.undo()
    world.look(Look((0,), 1000, (None, Change(remove=(0, 1)))))
    world.close()
