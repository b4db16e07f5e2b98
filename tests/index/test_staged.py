"""Settled rows are values: they cross processes."""

from __future__ import annotations

import pickle

import numpy as np

from serve_app.index.staged import RowOutcome, StagedGallery
from serve_app.types import Metric

from .staged_rows import row, settled


def test_settled_rows_cross_processes() -> None:
    rows = settled([row(4), row(5, "b", RowOutcome.REJECTED, reason="no face", digest=b"d")])
    there = pickle.loads(pickle.dumps(rows))
    assert (there.start, there.upto, there.rows) == (4, 6, rows.rows)
    np.testing.assert_array_equal(there.vectors, rows.vectors)
    assert there.vectors.shape[0] == 1


def test_outcomes_are_kept_as_words() -> None:
    """They stand in the database and in reports."""
    assert [str(each) for each in RowOutcome] == ["accepted", "rejected", "skipped"]


def test_a_gallery_meets_its_own_model_only_unless_told() -> None:
    assert StagedGallery("Flat", Metric.IP, 8, "m").compatible_with == frozenset()
