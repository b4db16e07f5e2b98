"""Rows to values, their checks, and what fits a gallery."""

from __future__ import annotations

import struct
import zlib
from dataclasses import replace

import numpy as np
import pytest

from serve_app.errors import GalleryMismatchError, UnavailableError
from serve_app.index.records import (
    SearchRequest,
    check_fits,
    check_of,
    label_digest,
    template_rows,
)
from serve_app.types import Embeddings, GalleryInfo, IndexType, Metric, Vectors

from .samples import DIMENSION, MODEL, embeddings, vectors

INFO = GalleryInfo("staff", "0" * 32, 1, IndexType.FLAT, Metric.IP, DIMENSION, MODEL)
Stored = tuple[int, str, bytes, int]


def stored(enrolled: Vectors) -> list[Stored]:
    rows = []
    for number, vector in enumerate(enrolled):
        label, blob = f"label {number}", vector.astype("<f4").tobytes()
        rows.append((number, label, blob, check_of(number, label, blob)))
    return rows


def test_vectors_come_back_bit_for_bit() -> None:
    enrolled = vectors(3)
    read = template_rows(stored(enrolled), DIMENSION)
    assert (read.ids, read.labels) == ([0, 1, 2], ["label 0", "label 1", "label 2"])
    assert read.vectors.dtype == np.float32
    assert np.array_equal(read.vectors, enrolled)


def test_no_rows_still_have_the_dimension() -> None:
    assert template_rows([], DIMENSION).vectors.shape == (0, DIMENSION)


def test_a_short_embedding_is_an_error() -> None:
    """One short and one long blob add up: the vectors between them would shift. Their own checks
    say that all is well, as after a wrong dimension."""
    short, long = (b"\0" * (4 * DIMENSION + odd) for odd in (-4, 4))
    for blobs in ([short], [short, long]):
        rows = [(i, "a", blob, check_of(i, "a", blob)) for i, blob in enumerate(blobs)]
        with pytest.raises(UnavailableError, match="damaged"):
            template_rows(rows, DIMENSION)


def test_every_bit_counts() -> None:
    ((number, label, blob, check),) = stored(vectors(1))
    damaged: list[Stored] = [(number ^ 1 << bit, label, blob, check) for bit in range(32)]
    for bit in range(8 * len(blob)):
        changed = bytearray(blob)
        changed[bit // 8] ^= 1 << bit % 8
        damaged.append((number, label, bytes(changed), check))
    damaged += [(number, label + other, blob, check) for other in (" ", "\0", "0")]
    damaged += [(number, label[:-1], blob, check), (number, label, blob, check ^ 1)]
    for row in damaged:
        with pytest.raises(UnavailableError, match="damaged"):
            template_rows([row], DIMENSION)


def test_rows_that_changed_places_are_found_out() -> None:
    first, second = stored(vectors(2))
    for swapped in (
        [(0, *second[1:]), (1, *first[1:])],
        [(0, second[1], *first[2:]), (1, first[1], *second[2:])],
    ):
        with pytest.raises(UnavailableError, match="damaged"):
            template_rows(swapped, DIMENSION)


def test_the_check_is_the_same_for_ever() -> None:
    """Databases hold it."""
    blob = struct.pack("<2f", 0.25, -1.5)
    assert check_of(7, "名前", blob) == zlib.crc32("名前".encode() + blob, 7)
    assert check_of(7, "名前", blob) == 2660471096
    assert label_digest("名前").hex() == "8dc4fae8d6441a4a178b3ee42154e47a"


def test_labels_of_any_kind_have_a_digest() -> None:
    labels = ["", "a", "A", "a ", "\0", "\ud800", "é", "e\u0301", "x" * 100_000]
    assert len({label_digest(label) for label in labels}) == len(labels)
    assert {len(label_digest(label)) for label in labels} == {16}


def test_what_a_search_costs() -> None:
    assert [SearchRequest("staff", embeddings(n), 1).cost for n in (0, 1, 7)] == [1, 1, 7]


def test_what_fits() -> None:
    check_fits(INFO, embeddings(2))
    check_fits(INFO, embeddings(0))


def test_another_model_is_refused_naming_both() -> None:
    with pytest.raises(GalleryMismatchError) as caught:
        check_fits(INFO, Embeddings("arcface-9", vectors(1)))
    for name in ("staff", MODEL, "arcface-9"):
        assert name in str(caught.value)


def test_another_precision_fits_where_that_was_checked() -> None:
    bf16 = Embeddings(f"{MODEL}+bf16", vectors(1), frozenset({MODEL}))
    check_fits(INFO, bf16)
    with pytest.raises(GalleryMismatchError, match=r"\+int8-1"):
        check_fits(replace(INFO, model_id=f"{MODEL}+int8-1"), bf16)
    with pytest.raises(GalleryMismatchError, match="dimensions"):
        check_fits(replace(INFO, dimension=512), bf16)


def test_another_dimension_is_refused_naming_both() -> None:
    with pytest.raises(GalleryMismatchError) as caught:
        check_fits(replace(INFO, dimension=512), embeddings(1, dimension=128))
    for name in ("staff", "512", "128"):
        assert name in str(caught.value)
