"""Scores of listed pairs only: of a list that doesn't say who is on its images."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from serve_app.evaluation.figures.pair_scores import ImpostorScores, PairScores


def listed_pairs(
    scores: NDArray[np.float64],
    same: NDArray[np.bool_],
    images: NDArray[np.int64],
) -> PairScores:
    """``scores`` (N,) of pairs of ``images`` (N, 2), numbers from 0 up; NaN: one has no face.

    Images that pairs, one after another, call the same person are one person for the confidence
    interval; all others are somebody each.
    """
    person = same_person(images[same], int(images.max()) + 1 if len(images) else 0)
    compared = ~np.isnan(scores)
    genuine = np.sort(scores[same & compared].astype(np.float32))
    impostor = ~same & compared
    people = person[images[impostor]].astype(np.int32)
    found = ImpostorScores(keep=len(people))
    found.count(scores[impostor].astype(np.float32))
    found.offer(scores[impostor].astype(np.float32), people)
    highest, highest_people = found.highest()
    return PairScores(
        genuine=genuine,
        missed=int(same.sum()) - len(genuine),
        impostors=len(people),
        histogram=found.histogram,
        highest=highest,
        highest_people=highest_people,
        pairs_of=np.bincount(people.ravel(), minlength=len(person)),
    )


def same_person(links: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    """(``count``,): for each image the first image that ``links`` (N, 2) tie it to."""
    leader = list(range(count))
    for one, other in links.tolist():
        first, second = sorted((_leader(leader, one), _leader(leader, other)))
        leader[second] = first
    return np.array([_leader(leader, image) for image in range(count)], dtype=np.int64)


def _leader(leader: Sequence[int], image: int) -> int:
    while leader[image] != image:
        image = leader[image]
    return image
