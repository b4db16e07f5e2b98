"""Embeddings as a table's column has them, to vectors that a gallery can hold."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from serve_app.types import Vectors

UNIT = 1e-6
"""Vectors whose length is so close to 1 stay as they are, bit by bit."""


def is_list_of_floats(kind: pa.DataType) -> bool:
    types = pa.types
    listed = types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind)
    return bool(listed and types.is_floating(kind.value_type))


def vectors_of(column: pa.Array, dimension: int) -> tuple[Vectors, dict[int, str]]:
    """Vectors (N, ``dimension``) float32, of length 1, and why rows (by offset) have none: those
    are zeros."""
    vectors = np.zeros((len(column), dimension), dtype=np.float32)
    lengths = pc.fill_null(pc.list_value_length(column), -1).to_numpy(zero_copy_only=False)
    faults = {
        int(at): (
            f"the embedding has {lengths[at]} numbers, and must have {dimension}"
            if lengths[at] >= 0
            else "has no embedding"
        )
        for at in np.flatnonzero(lengths != dimension)
    }
    good = np.flatnonzero(lengths == dimension)
    if not len(good):
        return vectors, faults
    kept = column if len(good) == len(column) else column.take(pa.array(good))
    # Of the type they are in: float64 may hold what float32 can't.
    values = kept.flatten().to_numpy(zero_copy_only=False).reshape(len(good), dimension)
    wide = values.astype(np.float64)
    norms = np.sqrt(np.einsum("nd,nd->n", wide, wide))
    finite = np.isfinite(norms)
    usable = finite & (norms > 0)
    for at in np.flatnonzero(~usable):
        faults[int(good[at])] = (
            "the embedding is all zeros"
            if finite[at]
            else "the embedding holds NaN, infinity, or numbers too large"
        )
    near = np.abs(norms - 1) <= UNIT
    wide /= np.where(usable & ~near, norms, 1.0)[:, None]
    with np.errstate(over="ignore", invalid="ignore"):
        vectors[good[usable]] = wide[usable]
    return vectors, faults
