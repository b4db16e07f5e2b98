"""1:N: each probe's nearest template among the enrolled, by brute force."""

from __future__ import annotations

import numpy as np

from serve_app.errors import InvalidRequestError
from serve_app.evaluation.embedding import Embedded
from serve_app.evaluation.figures.identification import SearchScores
from serve_app.evaluation.sets import STRANGER, EvaluationSet


def search(
    photographs: EvaluationSet, embedded: Embedded, probes: Embedded | None = None
) -> SearchScores:
    """Every probe against the whole gallery. ``probes``: their embeddings, where those are others.
    Raises InvalidRequestError if nobody is enrolled."""
    enrolled = [
        (embedded.vectors[entry.image], entry.label)
        for entry in photographs.gallery
        if entry.image in embedded.vectors
    ]
    if not enrolled:
        raise InvalidRequestError(
            "no image of the gallery shows a face: nobody can be enrolled, as "
            f"{photographs.gallery[0].image}: {embedded.failures[photographs.gallery[0].image]}"
        )
    templates = np.stack([vector for vector, _ in enrolled])
    scores, right = [], []
    for entry in photographs.probes:
        probe = (probes or embedded).vectors.get(entry.image)
        if probe is None:
            scores.append(np.nan)
            right.append(False)
            continue
        similarity = templates @ probe
        nearest = int(np.argmax(similarity))
        scores.append(float(similarity[nearest]))
        right.append(enrolled[nearest][1] == entry.label)
    return SearchScores(
        best=np.array(scores),
        right=np.array(right, dtype=bool),
        stranger=np.array([entry.label == STRANGER for entry in photographs.probes], dtype=bool),
        templates=len(enrolled),
        people=len({label for _, label in enrolled}),
    )
