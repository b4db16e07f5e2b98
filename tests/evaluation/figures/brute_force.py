"""Pairs of images the slow way: one after another, in Python."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from serve_app.evaluation.figures.pair_scores import PairScores


@dataclass(frozen=True, slots=True)
class Pairs:
    """Score and people of each pair; a nameless person is -1, -2, ..."""

    genuine: list[float]
    impostors: list[tuple[float, int, int]]

    def false_matches(self, threshold: float) -> int:
        return sum(score >= threshold for score, _, _ in self.impostors)

    def true_matches(self, threshold: float) -> int:
        return sum(score >= threshold for score in self.genuine)

    def check(self, found: PairScores) -> None:
        """``found`` holds the same scores, as far as it keeps them."""
        assert found.genuine.tolist() == sorted(np.array(self.genuine, np.float32).tolist())
        assert found.impostors == len(self.impostors) == found.histogram.sum()
        scores = sorted((np.float32(score) for score, _, _ in self.impostors), reverse=True)
        assert found.highest.tolist() == scores[: len(found.highest)]
        assert found.pairs_of.sum() == 2 * len(self.impostors)


def compare(
    vectors: NDArray[np.float32], person: NDArray[np.int32], nameless: NDArray[np.float32]
) -> Pairs:
    images = [(vector, int(who)) for vector, who in zip(vectors, person, strict=True)]
    images += [(vector, -1 - number) for number, vector in enumerate(nameless)]
    genuine, impostors = [], []
    for (first, one), (second, other) in combinations(images, 2):
        if one < 0 and other < 0:
            continue
        score = float(
            np.float32(sum(float(a) * float(b) for a, b in zip(first, second, strict=True)))
        )
        if one == other:
            genuine.append(score)
        else:
            impostors.append((score, one, other))
    return Pairs(genuine, impostors)


def grid(rng: np.random.Generator, count: int, dimension: int = 4) -> NDArray[np.float32]:
    """Vectors of whole eighths: their products are exact in any order, and often equal."""
    return (rng.integers(-4, 5, (count, dimension)) / 8).astype(np.float32)
