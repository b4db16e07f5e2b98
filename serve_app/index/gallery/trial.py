"""A trial of one FAISS factory string, in a process of its own: FAISS ends it for some of them.

``python -m serve_app.index.gallery.trial`` takes ``{"index_type", "dimension", "metric"}`` as JSON
and prints a line of JSON: ``refusal``, a reason or null, and ``least``, the number of templates
that training needs if a trial has fewer.
"""

from __future__ import annotations

import json
import resource
import sys
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from serve_app.index.gallery.kinds import TRIAL_MARK, grows, trained
from serve_app.index.gallery.labels import LabelColumn
from serve_app.index.gallery.reasons import reason, templates_needed
from serve_app.index.gallery.sealing import read_sealed, write_sealed
from serve_app.index.gallery.segment import Segment
from serve_app.types import Metric, Vectors

TEMPLATES = 600
MOST_TEMPLATES = 5000
PROBES = 20
MEMORY = 8 << 30
"""Bytes of address space: ``IVF1000000000,Flat`` asks for more than a machine has."""

SCORES = {Metric.IP: (-2.0, 2.0), Metric.L2: (-1.0, 8.0)}
"""What unit vectors can score, and as much again for the error of a quantizer. Types that count
something else (``LSH``: differing bits) are outside of it."""


@dataclass(frozen=True, slots=True)
class Verdict:
    refusal: str | None = None
    least: int = 0


def judge(index_type: str, dimension: int, metric: Metric) -> Verdict:
    """Train, add, search, remove, search, write and read, as a gallery of the type would."""
    count = TEMPLATES
    while True:
        vectors = unit_vectors(count, dimension)
        try:
            index = trained(index_type, metric, dimension, vectors)
            for part in np.array_split(vectors, 2 if grows(index) else 1):
                index.add(part)
            break
        except (RuntimeError, MemoryError) as error:
            needed = templates_needed(error)
            if not needed:
                return Verdict(reason(error))
            if needed > MOST_TEMPLATES or needed <= count:
                return Verdict(least=needed)
            count = needed
    least = count if count > TEMPLATES else 0
    labels = LabelColumn()
    labels.append([""] * count)
    try:
        segment = Segment.sealed(index_type, metric, index, np.arange(count), labels)
        return Verdict(_fault(segment, index, metric, vectors), least)
    except (RuntimeError, MemoryError, ValueError, OSError) as error:
        return Verdict(reason(error))


def unit_vectors(count: int, dimension: int) -> Vectors:
    rows = np.random.default_rng(count).normal(size=(count, dimension)).astype(np.float32)
    vectors: Vectors = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    return vectors


def _fault(segment: Segment, index: object, metric: Metric, vectors: Vectors) -> str | None:
    """What a gallery could not live with, None if there is nothing."""
    count = len(vectors)
    probes = vectors[:PROBES]
    with tempfile.TemporaryDirectory() as directory:
        labels = LabelColumn()
        labels.append([""] * count)
        write_sealed(Path(directory), index, np.arange(count), labels)
        again = read_sealed(Path(directory), segment.index_type, metric, vectors.shape[1], count)
    scores, ids = segment.search(probes, count)
    found = ids >= 0
    if not found.any(axis=1).all():
        return "it finds nothing"
    least, most = SCORES[metric]
    if not ((scores[found] >= least) & (scores[found] <= most)).all():
        return f"its scores are not those of the metric {metric.value}"
    better = np.where(found, scores, np.nan) * (1 if metric is Metric.IP else -1)
    steps = np.diff(better, axis=1)
    if (steps[~np.isnan(steps)] > 0).any():
        return f"it does not search by the metric {metric.value}"
    if not np.array_equal(again.search(probes, 10)[1], segment.search(probes, 10)[1]):
        return "read from a file it answers otherwise"
    segment.remove(range(0, count, 2))
    _, ids = segment.search(probes, count)
    return "it finds what was removed" if (ids[ids >= 0] % 2 == 0).any() else None


def main() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    spec = json.load(sys.stdin)
    verdict = judge(spec["index_type"], spec["dimension"], Metric(spec["metric"]))
    sys.stdout.write(f"\n{TRIAL_MARK}{json.dumps(asdict(verdict))}\n")


if __name__ == "__main__":
    main()
