"""Draws pairs for the 1:1 accuracy from people's images, where no list names any.

As many of one person as of two, as in LFW's list: over all pairs, nearly all of them of two
people, refusing everybody would be 99.9 % accurate.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence

import numpy as np

from serve_app.evaluation.sets.evaluation_set import ListedPair

MOST = 3000
"""Pairs of each kind, as many as LFW's list has."""


def draw_pairs(person_of: Mapping[str, str], most: int = MOST) -> list[ListedPair]:
    """The same pairs for the same images, up to ``most`` of each kind, none twice.

    Genuine ones: people take turns, each giving a random pair that was not had yet, so that those
    with many images don't rule. Impostor ones: two random people, a random image of each.
    """
    images: dict[str, list[str]] = defaultdict(list)
    for image in sorted(person_of):
        images[person_of[image]].append(image)
    rng = np.random.default_rng(0)
    people = [images[person] for person in sorted(images)]
    genuine = _genuine(people, most, rng)
    return genuine + _impostor(people, len(genuine), rng)


def _genuine(
    people: Sequence[Sequence[str]], most: int, rng: np.random.Generator
) -> list[ListedPair]:
    turns: list[tuple[int, float, ListedPair]] = []
    for pictures in people:
        possible = len(pictures) * (len(pictures) - 1) // 2
        if not possible:
            continue
        chosen = rng.choice(possible, min(possible, most), replace=False)
        for turn, number in enumerate(chosen.tolist()):
            # Pair `number` of the triangle (0,1), (0,2), (1,2), (0,3), ...
            second = (1 + math.isqrt(1 + 8 * number)) // 2
            first = number - second * (second - 1) // 2
            pair = ListedPair(pictures[first], pictures[second], same=True)
            turns.append((turn, rng.random(), pair))
    turns.sort(key=lambda entry: entry[:2])
    return [pair for _, _, pair in turns[:most]]


def _impostor(
    people: Sequence[Sequence[str]], count: int, rng: np.random.Generator
) -> list[ListedPair]:
    if len(people) < 2:
        return []
    drawn: dict[tuple[str, str], None] = {}
    for _ in range(100 * count):  # a small set may have fewer pairs than wished
        if len(drawn) == count:
            break
        one, other = sorted(rng.choice(len(people), 2, replace=False).tolist())
        first = people[one][int(rng.integers(len(people[one])))]
        second = people[other][int(rng.integers(len(people[other])))]
        drawn[first, second] = None
    return [ListedPair(first, second, same=False) for first, second in drawn]
