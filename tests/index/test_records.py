"""Rows to values, and what fits a gallery."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pytest

from serve_app.errors import GalleryMismatchError, UnavailableError
from serve_app.index.records import check_fits, template_rows
from serve_app.types import Embeddings, GalleryInfo, IndexType, Metric

from .samples import DIMENSION, MODEL, embeddings, vectors

INFO = GalleryInfo("staff", "0" * 32, 1, IndexType.FLAT, Metric.IP, DIMENSION, MODEL)


@dataclass
class StoredRow:
    id: int
    label: str
    embedding: bytes


def test_vectors_come_back_bit_for_bit() -> None:
    enrolled = vectors(3)
    stored = [
        StoredRow(number, f"label {number}", vector.astype("<f4").tobytes())
        for number, vector in enumerate(enrolled)
    ]
    read = template_rows(stored, DIMENSION)
    assert (read.ids, read.labels) == ([0, 1, 2], ["label 0", "label 1", "label 2"])
    assert read.vectors.dtype == np.float32
    assert read.vectors.flags.writeable
    assert np.array_equal(read.vectors, enrolled)


def test_no_rows_still_have_the_dimension() -> None:
    assert template_rows([], DIMENSION).vectors.shape == (0, DIMENSION)


def test_a_short_embedding_is_an_error() -> None:
    """One short and one long blob add up: the vectors between them would shift."""
    short, long = (b"\0" * (4 * DIMENSION + odd) for odd in (-4, 4))
    for blobs in ([short], [short, long]):
        rows = [StoredRow(i, "a", blob) for i, blob in enumerate(blobs)]
        with pytest.raises(UnavailableError, match="damaged"):
            template_rows(rows, DIMENSION)


def test_what_fits() -> None:
    check_fits(INFO, embeddings(2))
    check_fits(INFO, embeddings(0))


def test_another_model_is_refused_naming_both() -> None:
    with pytest.raises(GalleryMismatchError) as caught:
        check_fits(INFO, Embeddings("arcface-9", vectors(1)))
    for name in ("staff", MODEL, "arcface-9"):
        assert name in str(caught.value)


def test_another_dimension_is_refused_naming_both() -> None:
    with pytest.raises(GalleryMismatchError) as caught:
        check_fits(replace(INFO, dimension=512), embeddings(1, dimension=128))
    for name in ("staff", "512", "128"):
        assert name in str(caught.value)
