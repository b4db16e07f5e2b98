from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from serve_app.errors import InvalidRequestError
from serve_app.evaluation.embedding import Embedded
from serve_app.evaluation.search import search
from serve_app.evaluation.sets import EvaluationSet, LabelledImage


def entries(labels: dict[str, str]) -> list[LabelledImage]:
    return [LabelledImage(image, label) for image, label in labels.items()]


def embedded(vectors: dict[str, list[float]]) -> Embedded:
    arrays = {name: np.array(vector, dtype=np.float32) for name, vector in vectors.items()}
    return Embedded("toy@1", arrays, {"none": "no face found"})


def test_the_nearest_template_counts() -> None:
    photographs = EvaluationSet(
        "toy",
        Path(),
        gallery=entries({"a1": "Ann", "a2": "Ann", "b1": "Bob", "none": "Cy"}),
        probes=entries({"p": "Ann", "q": "Ann", "x": "-", "none": "Bob"}),
    )
    found = search(
        photographs,
        embedded({"a1": [1, 0], "a2": [0.6, 0.8], "b1": [0, 1], "p": [0.8, 0.6], "q": [0, 1],
                  "x": [-1, 0]}),
    )  # fmt: skip
    assert found.best[:3] == pytest.approx([0.96, 1, 0])
    assert np.isnan(found.best[3])
    assert found.right.tolist() == [True, False, False, False]
    assert found.stranger.tolist() == [False, False, True, False]
    assert (found.templates, found.people) == (3, 2)


def test_nobody_is_enrolled() -> None:
    photographs = EvaluationSet(
        "toy", Path(), gallery=entries({"none": "Ann"}), probes=entries({"p": "Ann"})
    )
    with pytest.raises(InvalidRequestError, match="nobody can be enrolled, as none: no face found"):
        search(photographs, embedded({"p": [1, 0]}))
