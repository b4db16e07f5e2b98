"""Compares every image with every other, block by block, so that memory does not grow with the
number of pairs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from serve_app.evaluation.figures.pair_scores import ImpostorScores, PairScores

Step = TypeVar("Step")

BLOCK = 1 << 20
"""Scores that are looked at together: 4 MiB of float32."""

NO_PAIR = np.float32(-2)
"""Marks what is no impostor pair: below every score."""


class Progress(Protocol):
    """Passes steps on while it shows how far they are."""

    def __call__(self, steps: Sequence[Step], what: str, /) -> Iterator[Step]: ...


def silent(steps: Sequence[Step], _what: str, /) -> Iterator[Step]:
    """Shows nothing."""
    return iter(steps)


def all_pairs(
    vectors: NDArray[np.float32],
    person: NDArray[np.int32],
    nameless: NDArray[np.float32],
    *,
    genuine_pairs: int,
    rate: float,
    progress: Progress = silent,
) -> PairScores:
    """Scores of all pairs of ``vectors`` (N, D), unit length, of ``person`` (N,) from 0 up, and of
    each of them with each of ``nameless`` (M, D): people of their own, not compared among each
    other, as two of them may be one.

    ``genuine_pairs``: how many there would be had every image shown a face. Thresholds are exact
    up to the false match rate ``rate``.
    """
    order = np.argsort(person, kind="stable")
    vectors, person = vectors[order], person[order]
    count = len(vectors)
    names = int(person[-1]) + 1 if count else 0
    people = np.concatenate([person, names + np.arange(len(nameless), dtype=np.int32)])
    columns = np.concatenate([vectors, nameless])
    # Images of one person are neighbours: in row i, columns i+1 to ends[i] are the genuine pairs.
    ends = np.searchsorted(person, person, side="right")
    pairs_of = _pairs_of(person, names, len(nameless))
    impostors = int(pairs_of.sum()) // 2
    found = ImpostorScores(keep=min(impostors, int(rate * impostors) + 2))
    genuine = []
    rows = max(1, BLOCK // max(len(columns), 1))
    for top in progress(range(0, count, rows), "pairs"):
        block = slice(top, min(top + rows, count))
        scores = vectors[block] @ columns[top:].T
        for row, end in enumerate(ends[block] - top):
            genuine.append(scores[row, row + 1 : end].copy())
            scores[row, :end] = NO_PAIR
        found.count(scores)
        row_of, column_of = np.unravel_index(found.wanted(scores), scores.shape)
        taken = scores[row_of, column_of]
        pair = np.stack([people[top + row_of], people[top + column_of]], axis=1)
        found.offer(taken[taken > NO_PAIR], pair[taken > NO_PAIR])
    highest, highest_people = found.highest()
    seen = np.sort(np.concatenate([np.empty(0, np.float32), *genuine]))
    return PairScores(
        genuine=seen,
        missed=genuine_pairs - len(seen),
        impostors=impostors,
        histogram=found.histogram,
        highest=highest,
        highest_people=highest_people,
        pairs_of=pairs_of,
    )


def _pairs_of(person: NDArray[np.int32], names: int, nameless: int) -> NDArray[np.int64]:
    """Impostor pairs of each person, the nameless ones last."""
    images = np.bincount(person, minlength=names).astype(np.int64)
    others = len(person) - images + nameless
    return np.concatenate([images * others, np.full(nameless, len(person), dtype=np.int64)])
