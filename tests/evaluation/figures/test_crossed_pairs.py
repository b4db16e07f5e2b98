from __future__ import annotations

import numpy as np
import pytest

from serve_app.evaluation.figures import crossed_pairs as module
from serve_app.evaluation.figures.crossed_pairs import NAMELESS, MatchesAt, crossed_pairs

RNG = np.random.default_rng(4)
PERSON = np.array([0, 0, 1, 1, 1, 2, NAMELESS, NAMELESS], dtype=np.int32)
TEMPLATES, PROBES = (RNG.normal(size=(8, 3)).astype(np.float32) for _ in range(2))


def by_hand(threshold: float) -> MatchesAt:
    counts = dict.fromkeys(("true", "genuine", "false", "impostor"), 0)
    for i, template in enumerate(TEMPLATES):
        for j, probe in enumerate(PROBES):
            if i == j or (PERSON[i] == NAMELESS and PERSON[j] == NAMELESS):
                continue
            reaches = float(template @ probe) >= threshold
            same = PERSON[i] == PERSON[j]
            counts["genuine" if same else "impostor"] += 1
            counts["true" if same else "false"] += reaches
    return MatchesAt(
        threshold, counts["true"], counts["genuine"], counts["false"], counts["impostor"]
    )


@pytest.mark.parametrize("block", [1, 8, 20, 1 << 20])
def test_every_pair_is_counted_once_in_each_role(
    block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "BLOCK", block)
    thresholds = (-9.0, -0.5, 0.3, 9.0)
    found = crossed_pairs(TEMPLATES, PROBES, PERSON, thresholds)
    assert found == [by_hand(threshold) for threshold in thresholds]
    assert (found[0].genuine, found[0].impostor) == (2 + 6, 56 - 8 - 2)
    assert (found[0].true_matches, found[-1].false_matches) == (8, 0)
    assert crossed_pairs(PROBES, TEMPLATES, PERSON, thresholds) == found
