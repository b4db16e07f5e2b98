from __future__ import annotations

import tracemalloc
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import TypeVar

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from serve_app.evaluation.figures import all_pairs as module
from serve_app.evaluation.figures.all_pairs import all_pairs

from .brute_force import compare, grid

Step = TypeVar("Step")


@given(
    seed=st.integers(0, 2**32 - 1),
    people=st.lists(st.integers(0, 5), min_size=0, max_size=12),
    nameless=st.integers(0, 4),
    block=st.sampled_from([1, 7, 64, 1 << 20]),
    rate=st.sampled_from([0.0, 0.1, 1.0]),
)
def test_equals_brute_force(
    seed: int, people: list[int], nameless: int, block: int, rate: float
) -> None:
    rng = np.random.default_rng(seed)
    person = np.array(people, dtype=np.int32)
    vectors, strangers = grid(rng, len(people)), grid(rng, nameless)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "BLOCK", block)
        found = all_pairs(vectors, person, strangers, genuine_pairs=99, rate=rate)
    expected = compare(vectors, person, strangers)
    expected.check(found)
    assert found.missed == 99 - len(expected.genuine)
    assert len(found.highest) == min(len(expected.impostors), int(rate * found.impostors) + 2)
    names = max(people, default=-1) + 1
    taking_part = Counter(
        who if who >= 0 else names - 1 - who for _, one, other in expected.impostors
        for who in (one, other)
    )  # fmt: skip
    assert found.pairs_of.tolist() == [taking_part[who] for who in range(names + nameless)]


def test_the_highest_know_their_people() -> None:
    """Far more candidates than are kept, met in many blocks: none is lost, none is mixed up."""
    rng = np.random.default_rng(1)
    vectors = rng.normal(size=(900, 8))
    vectors = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    person = rng.permutation(900).astype(np.int32) // 2
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "BLOCK", 20_000)
        found = all_pairs(vectors, person, np.empty((0, 8), np.float32), genuine_pairs=0, rate=1e-3)
    scores = vectors @ vectors.T
    first, second = np.triu_indices(900, 1)
    impostor = person[first] != person[second]
    first, second = first[impostor], second[impostor]
    best = np.argsort(-scores[first, second])[: len(found.highest)]
    np.testing.assert_allclose(found.highest, scores[first, second][best], atol=1e-6)
    expected = np.sort(np.stack([person[first[best]], person[second[best]]], axis=1), axis=1)
    same = (np.sort(found.highest_people, axis=1) == expected).all(axis=1)
    assert same.mean() > 0.99, "only pairs of almost equal scores may change places"
    assert found.false_matches_of(10).sum() == 20


def test_progress_passes_every_block() -> None:
    told: list[str] = []

    def progress(steps: Sequence[Step], what: str, /) -> Iterator[Step]:
        told.append(f"{what} {len(steps)}")
        return iter(steps)

    rng = np.random.default_rng(2)
    person = np.arange(50, dtype=np.int32)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "BLOCK", 500)
        all_pairs(grid(rng, 50), person, grid(rng, 0), genuine_pairs=0, rate=1, progress=progress)
    assert told == ["pairs 5"]


def test_memory_does_not_grow_with_the_pairs() -> None:
    """Four times as many pairs, 18 million, whose scores and people would be 216 MB."""
    assert peak_memory(images=6000) < 1.2 * peak_memory(images=3000)


def peak_memory(images: int) -> int:
    rng = np.random.default_rng(3)
    vectors = rng.normal(size=(images, 16))
    vectors = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    person = np.arange(images, dtype=np.int32) // 3
    tracemalloc.start()
    found = all_pairs(vectors, person, np.empty((0, 16), np.float32), genuine_pairs=0, rate=1e-3)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert found.impostors == images * (images - 3) // 2
    return peak
