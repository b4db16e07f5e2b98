"""Whether two runtimes give the same answer: a fast wrong one is of no use.

Three kinds of networks, told apart by the shapes of their answers: embeddings, the boxes of a
detector with suppression inside, and the raw heads of one without.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from serve_app.models.runtime import Tensors

MIN_COSINE = 0.9999
"""Of two embeddings of a crop. A threshold is chosen to two digits."""

MAX_RELATIVE = 1e-3
"""Of a raw head's values, to the largest of them, and never to less than SMALL_HEAD: the heads are
probabilities, and sizes in cells."""

SMALL_HEAD = 0.1

MAX_PIXELS = 1.0
MAX_SCORE = 1e-3
CERTAIN = 0.3
"""Boxes of a lower score are no faces: pipelines ask for 0.5 and more. Where none has a higher one,
the FEW best are compared."""

FEW = 10


@dataclass(frozen=True, slots=True)
class Difference:
    """``measure``: what ``value`` is: ``1 - cosine``, ``relative`` or ``pixels``; where it is
    infinite, what is wrong."""

    agrees: bool
    value: float
    measure: str

    def __str__(self) -> str:
        return f"{self.measure} {self.value:.1g}" if self.value < np.inf else self.measure


DIFFERENT_SHAPES = Difference(False, float("inf"), "outputs of other shapes")
NOT_FINITE = Difference(False, float("inf"), "values that are not finite")
NOTHING_FOUND = Difference(False, float("inf"), "no box to compare")
NO_PARTNER = Difference(False, float("inf"), "a box that the other one does not find")
OTHER_ORDER = Difference(False, float("inf"), "boxes in another order")


def difference(expected: Tensors, found: Tensors) -> Difference:
    """How far ``found`` is from ``expected``: by name, or by position where a conversion named the
    outputs anew."""
    if len(expected) != len(found):
        return DIFFERENT_SHAPES
    if expected.keys() == found.keys():
        pairs = [(expected[name], found[name]) for name in expected]
    else:
        pairs = list(zip(expected.values(), found.values(), strict=True))
    if not all(np.isfinite(array).all() for pair in pairs for array in pair):
        return NOT_FINITE
    column = boxes_position(expected)
    if column is not None and boxes_position(found) == column:
        return _of_boxes(_rows(pairs, column, 0), _rows(pairs, column, 1))
    if any(one.shape != other.shape for one, other in pairs):
        return DIFFERENT_SHAPES
    if len(pairs) == 1 and pairs[0][0].ndim == 2:
        return _of_embeddings(*pairs[0])
    return _of_heads(pairs)


def _of_embeddings(expected: NDArray[Any], found: NDArray[Any]) -> Difference:
    one, other = (part.astype(np.float64) for part in (expected, found))
    lengths = np.linalg.norm(one, axis=1) * np.linalg.norm(other, axis=1)
    cosines = np.einsum("nd,nd->n", one, other) / np.maximum(lengths, 1e-30)
    apart = float(max(0.0, 1 - cosines.min()))
    return Difference(apart <= 1 - MIN_COSINE, apart, "1 - cosine")


def _of_heads(pairs: list[tuple[NDArray[Any], NDArray[Any]]]) -> Difference:
    apart = max(
        float(np.abs(found - expected).max() / max(np.abs(expected).max(), SMALL_HEAD))
        for expected, found in pairs
    )
    return Difference(apart <= MAX_RELATIVE, apart, "relative")


def boxes_position(answer: Tensors) -> int | None:
    """Where among the outputs the boxes are, rows (N, 6): class, score, x1, y1, x2, y2, beside
    their number. None in the answer of another kind of network."""
    arrays = list(answer.values())
    boxes = [i for i, array in enumerate(arrays) if array.ndim == 2 and array.shape[1] == 6]
    return boxes[0] if len(boxes) == 1 and len(arrays) == 2 else None


def _rows(
    pairs: list[tuple[NDArray[Any], NDArray[Any]]], column: int, side: int
) -> NDArray[np.float64]:
    """The boxes of the first image."""
    count = int(pairs[1 - column][side].reshape(-1)[0])
    rows = pairs[column][side][:count].astype(np.float64)
    return np.asarray(rows[rows[:, 0] >= 0])


def _of_boxes(expected: NDArray[np.float64], found: NDArray[np.float64]) -> Difference:
    if not len(expected) and not len(found):
        return NOTHING_FOUND
    compared = _certain(expected)
    partners, there = _partners(compared, found)
    _, back = _partners(_certain(found), expected)
    apart = max(there, back)
    if apart == np.inf:
        return NO_PARTNER
    overtakes = np.diff(partners) < 0
    if (overtakes & (np.abs(np.diff(compared[:, 1])) > 2 * MAX_SCORE)).any():
        return OTHER_ORDER
    return Difference(apart <= MAX_PIXELS, apart, "pixels")


def _certain(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    certain = rows[:, 1] > CERTAIN
    if not certain.any():
        certain[np.argsort(-rows[:, 1], kind="stable")[:FEW]] = True
    return np.asarray(rows[certain])


def _partners(these: NDArray[np.float64], those: NDArray[np.float64]) -> tuple[list[int], float]:
    """For each of ``these`` the nearest of the same class and score among ``those``, and the
    largest of the distances: infinite where one has none."""
    partners, farthest = [], 0.0
    for row in these:
        alike = (those[:, 0] == row[0]) & (np.abs(those[:, 1] - row[1]) <= MAX_SCORE)
        distances = np.where(alike, np.abs(those[:, 2:] - row[2:]).max(axis=1), np.inf)
        partners.append(int(distances.argmin()) if len(distances) else -1)
        farthest = max(farthest, float(distances.min(initial=np.inf)))
    return partners, farthest
