"""All pairs of images whose two sides were embedded differently, at thresholds that are given."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from serve_app.evaluation.figures.all_pairs import BLOCK

NAMELESS = -1
"""Whoever is on an image, it is none of the known people."""


@dataclass(frozen=True, slots=True)
class MatchesAt:
    """Pairs whose score reaches ``threshold``, of all ``genuine`` and all ``impostor`` ones."""

    threshold: float
    true_matches: int
    genuine: int
    false_matches: int
    impostor: int


def crossed_pairs(
    templates: NDArray[np.float32],
    probes: NDArray[np.float32],
    person: NDArray[np.int32],
    thresholds: Sequence[float],
) -> list[MatchesAt]:
    """Each image i of ``templates`` (N, D) against each other image j of ``probes`` (N, D), the
    same images in the same order, of ``person`` (N,): so each pair of images in both roles. Two
    nameless images are no pair."""
    count = len(person)
    true, false = (np.zeros(len(thresholds), dtype=np.int64) for _ in range(2))
    genuine = impostor = 0
    rows = max(1, BLOCK // max(count, 1))
    for top in range(0, count, rows):
        block = slice(top, min(top + rows, count))
        scores = templates[block] @ probes.T
        same = person[block, np.newaxis] == person
        nameless = same & (person == NAMELESS)
        differ = ~same
        same &= ~nameless
        same[np.arange(block.stop - top), np.arange(top, block.stop)] = False  # with itself
        genuine += int(same.sum())
        impostor += int(differ.sum())
        for position, threshold in enumerate(thresholds):
            reaches = scores >= threshold
            true[position] += int((reaches & same).sum())
            false[position] += int((reaches & differ).sum())
    return [
        MatchesAt(threshold, int(t), genuine, int(f), impostor)
        for threshold, t, f in zip(thresholds, true, false, strict=True)
    ]
