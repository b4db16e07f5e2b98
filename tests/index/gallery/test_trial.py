"""A trial in its own process, and what it judges."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from serve_app.index.gallery.kinds import TRIAL_MARK
from serve_app.index.gallery.trial import Verdict, judge
from serve_app.types import Metric


def test_the_process() -> None:
    run = subprocess.run(
        [sys.executable, "-m", "serve_app.index.gallery.trial"],
        input=json.dumps({"index_type": "IVF700,Flat", "dimension": 8, "metric": "L2"}),
        capture_output=True,
        text=True,
        check=True,
    )
    (line,) = (each for each in run.stdout.splitlines() if each.startswith(TRIAL_MARK))
    assert json.loads(line.removeprefix(TRIAL_MARK)) == {"refusal": None, "least": 700}


@pytest.mark.parametrize(
    ("index_type", "metric", "verdict"),
    [
        ("SQ8", Metric.IP, Verdict()),
        ("IVF9999,Flat", Metric.IP, Verdict(least=9999)),
        ("HNSW8_PQ8", Metric.IP, Verdict("metric is L2, not IP")),
        ("LSH", Metric.L2, Verdict("its scores are not those of the metric L2")),
        ("IVF0,Flat", Metric.L2, Verdict("cur_nprobe > 0 does not hold")),
    ],
)
def test_verdicts(index_type: str, metric: Metric, verdict: Verdict) -> None:
    assert judge(index_type, 64, metric) == verdict
