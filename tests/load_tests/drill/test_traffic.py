from __future__ import annotations

import itertools
from collections import Counter

from load_tests.drill.traffic import SHARES, due, labels_seen


def test_requests_are_due_at_their_rate_and_in_their_shares() -> None:
    found = list(itertools.takewhile(lambda one: one[0] < 200, due(10, 1)))
    assert 1800 < len(found) < 2200
    kinds = Counter(kind for _, kind in found)
    for kind, share in SHARES.items():
        assert abs(kinds[kind] / len(found) - share) < 0.05
    assert found[:20] == list(itertools.islice(due(10, 1), 20)), "the same each time"


def test_the_labels_of_an_answer() -> None:
    faces = [{"recResults": [{"label": "a", "score": 1.0}, {"label": "b", "score": 0.9}]}]
    assert labels_seen({"faces": faces}) == {"a", "b"}
