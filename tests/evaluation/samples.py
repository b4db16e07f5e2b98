"""A set of people with embeddings of their own, large enough for every figure."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from serve_app.evaluation.run import Evaluation, evaluate
from serve_app.evaluation.sets import open_set

from .written_vectors import WrittenVectors, text, write


def write_people(root: Path, people: int, images: int, strangers: int, spread: float = 0.6) -> Path:
    """``people`` with ``images`` each, and ``strangers`` with a single one."""
    rng = np.random.default_rng(12)
    for number in range(people + strangers):
        centre = rng.normal(size=12)
        count = images if number < people else 1
        vectors = centre + spread * rng.normal(size=(count, 12))
        write(root, {f"P{number:03}/{n}.jpg": text(v) for n, v in enumerate(vectors)})
    return root


def run(path: Path, *, fpir: float = 0.05, fmr: float = 1e-2, workers: int = 2) -> Evaluation:
    pipeline = WrittenVectors()
    return evaluate(open_set(path), pipeline.open, workers=workers, fpir=fpir, fmr=fmr)
