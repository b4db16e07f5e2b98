"""What galleries should hold and answer: brute force over a dictionary."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
import pytest

from serve_app.types import Candidate, IndexType, Metric, Receipt, Vectors

from .samples import vectors

POOL = vectors(64, seed=1)
"""Few different vectors: so galleries hold the same one many times, and probes hit it."""
PEOPLE = 5
"""Few different labels: removing one removes many templates."""


def people(count: int, seed: int) -> tuple[list[str], Vectors]:
    """Labels in turns, vectors by chance."""
    chosen = np.random.default_rng(seed).integers(0, len(POOL), count)
    return [f"person {number % PEOPLE}" for number in range(count)], POOL[chosen]


@dataclass
class Gallery:
    """One gallery. Flat must equal it; of IVF and HNSW, which may miss what is nearest, what holds
    without regard to recall is asked: nobody removed or unknown, the right label and score, each
    once, nearest first."""

    key: str
    index_type: str
    metric: Metric
    seq: int = 1
    next_id: int = 0
    templates: dict[int, tuple[str, Vectors]] = field(default_factory=dict)

    def enrol(self, labels: Sequence[str], enrolled: Vectors) -> list[int]:
        ids = list(range(self.next_id, self.next_id + len(labels)))
        self.templates |= dict(zip(ids, zip(labels, enrolled, strict=True), strict=True))
        self.next_id += len(labels)
        return ids

    def remove(self, ids: Iterable[int]) -> list[int]:
        gone = sorted(set(ids) & self.templates.keys())
        for number in gone:
            del self.templates[number]
        self.seq += len(gone) > 0
        return gone

    def labelled(self, label: str) -> list[int]:
        return [number for number, (each, _) in self.templates.items() if each == label]

    def receipt(self, ids: list[int], *, with_labels: bool = True) -> Receipt:
        labels = {number: label for number, (label, _) in sorted(self.templates.items())}
        return Receipt(ids, len(labels), labels if with_labels else None, self.key)

    def check(self, probe: Vectors, top_k: int, candidates: list[Candidate]) -> None:
        found = [candidate.template_id for candidate in candidates]
        assert len(set(found)) == len(found) <= top_k
        assert set(found) <= self.templates.keys()
        assert [c.label for c in candidates] == [self.templates[n][0] for n in found]
        given = [candidate.score for candidate in candidates]
        scores = self._scores(probe)
        assert given == pytest.approx([scores[number] for number in found], abs=1e-5)
        sign = -1 if self.metric is Metric.IP else 1
        keys = [(sign * score, number) for score, number in zip(given, found, strict=True)]
        assert keys == sorted(keys)
        if self.index_type == IndexType.FLAT:
            everyone = sorted(sign * score for score in scores.values())
            assert [sign * score for score in given] == pytest.approx(everyone[:top_k], abs=1e-5)

    def _scores(self, probe: Vectors) -> dict[int, float]:
        if not self.templates:
            return {}
        enrolled = np.array([vector for _, vector in self.templates.values()], dtype=np.float64)
        asked = probe.astype(np.float64)
        if self.metric is Metric.IP:
            scores = enrolled @ asked
        else:
            scores = ((enrolled - asked) ** 2).sum(axis=1)
        return dict(zip(self.templates, scores.tolist(), strict=True))
