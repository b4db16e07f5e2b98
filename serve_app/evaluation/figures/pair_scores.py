"""Scores of very many pairs in bounded memory: what rates, thresholds and the curve need of them.

13,000 images make 84 million pairs. Kept are the scores of genuine pairs (four bytes each), the
highest impostor scores with their people (twelve bytes each), from which every operating point
comes exactly, and a histogram of the other impostor scores, which is enough for a curve.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

BINS_A_UNIT = 1 << 15
"""A power of two: scores are binned without rounding. Scores lie in [-1, 1]."""


@dataclass(frozen=True, slots=True)
class PairScores:
    """``genuine`` (G,) float32, ascending: scores of pairs of one person; ``missed`` more such
    pairs have an image without a face. ``impostors`` pairs of two people; ``histogram`` of their
    scores in bins from -1 up; ``highest`` (K,) float32 of them, descending, with the people of
    each, ``highest_people`` (K, 2); ``pairs_of`` (P,): impostor pairs that a person is part of.

    An image without a face makes no impostor pair: it was compared with nobody.
    """

    genuine: NDArray[np.float32]
    missed: int
    impostors: int
    histogram: NDArray[np.int64]
    highest: NDArray[np.float32]
    highest_people: NDArray[np.int32]
    pairs_of: NDArray[np.int64]

    @property
    def genuine_pairs(self) -> int:
        return len(self.genuine) + self.missed

    def threshold(self, false_matches: int) -> float:
        """The lowest threshold that at most ``false_matches`` impostor pairs reach: exactly while
        ``highest`` goes that far, the next bin's edge beyond."""
        if false_matches >= self.impostors:
            return -1.0
        if false_matches < len(self.highest):
            return float(np.nextafter(self.highest[false_matches], np.float32(np.inf)))
        reaching = np.cumsum(self.histogram[::-1])[::-1]
        edge = int(np.searchsorted(-reaching, -false_matches, side="left"))
        return edge / BINS_A_UNIT - 1

    def false_matches(self, threshold: float) -> int:
        """Impostor pairs that reach a threshold that ``threshold`` gave."""
        if len(self.highest) == self.impostors or threshold > self.highest[-1]:
            return int(np.searchsorted(-self.highest, np.float32(-threshold), side="right"))
        return int(self.histogram[round((threshold + 1) * BINS_A_UNIT) :].sum())

    def true_matches(self, threshold: float) -> int:
        """Genuine pairs that reach a threshold."""
        return len(self.genuine) - int(
            np.searchsorted(self.genuine, np.float32(threshold), side="left")
        )

    def false_matches_of(self, false_matches: int) -> NDArray[np.int64]:
        """(P,): in how many of the highest ``false_matches`` impostor pairs each person is."""
        people = self.highest_people[:false_matches].ravel()
        return np.bincount(people, minlength=len(self.pairs_of))


class ImpostorScores:
    """Takes impostor scores part by part, and keeps the highest ``keep`` and a histogram."""

    def __init__(self, keep: int) -> None:
        self._keep = keep
        self._room = max(2 * keep, 1 << 20)
        self._floor = np.float32(-np.inf)
        self._parts: list[tuple[NDArray[np.float32], NDArray[np.int32]]] = []
        self._held = 0
        self.histogram = np.zeros(2 * BINS_A_UNIT + 1, dtype=np.int64)

    def count(self, scores: NDArray[np.float32]) -> None:
        """Into the histogram. A score below -1 - 1 / BINS_A_UNIT stands for no pair."""
        bins = np.floor(scores.ravel() * np.float32(BINS_A_UNIT)).astype(np.int32) + BINS_A_UNIT
        # Rounding may put the score of equal embeddings just above 1, of opposite ones below -1.
        counts = np.bincount(
            np.clip(bins, -2, 2 * BINS_A_UNIT) + 2, minlength=len(self.histogram) + 2
        )
        self.histogram += counts[2:]
        self.histogram[0] += counts[1]

    def wanted(self, scores: NDArray[np.float32]) -> NDArray[np.int64]:
        """Positions in ``scores``, flat, that may be among the highest."""
        return np.flatnonzero(scores >= self._floor)

    def offer(self, scores: NDArray[np.float32], people: NDArray[np.int32]) -> None:
        """Candidates for the highest."""
        self._parts.append((scores, people))
        self._held += len(scores)
        if self._held > self._room:
            self._shrink()

    def highest(self) -> tuple[NDArray[np.float32], NDArray[np.int32]]:
        """Scores (K,) descending, people (K, 2)."""
        self._shrink()
        scores, people = self._parts[0]
        order = np.argsort(-scores, kind="stable")
        return scores[order], people[order]

    def _shrink(self) -> None:
        scores = np.concatenate([np.empty(0, np.float32), *(part for part, _ in self._parts)])
        people = np.concatenate([np.empty((0, 2), np.int32), *(part for _, part in self._parts)])
        if len(scores) > self._keep:
            best = np.argpartition(-scores, self._keep - 1)[: self._keep]
            scores, people = scores[best], people[best]
            self._floor = scores.min()
        self._parts = [(scores, people)]
        self._held = len(scores)
