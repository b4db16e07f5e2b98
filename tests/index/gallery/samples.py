"""Galleries of faces' embeddings as they lie: many of one identity close together."""

from __future__ import annotations

import numpy as np

from serve_app.types import Vectors
from tests.index.samples import unit


def clustered(
    seed: int, count: int = 20_000, identities: int = 4000, dimension: int = 16
) -> tuple[Vectors, Vectors]:
    """Templates (count, dimension) and 400 probes: half of them of these identities, half of
    strangers."""
    chance = np.random.default_rng(seed)
    centres = unit(chance.normal(size=(identities, dimension)))

    def sample(number: int) -> Vectors:
        noise = 0.5 / np.sqrt(dimension) * chance.normal(size=(number, dimension))
        return unit(centres[chance.integers(0, identities, number)] + noise)

    strangers = unit(chance.normal(size=(200, dimension)))
    return sample(count), np.concatenate([sample(200), strangers])
