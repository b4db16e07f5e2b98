"""Crops to vectors in as few extractor calls as fit, with a bad crop failing alone.

Owns how crops are spread over calls. Must not know where crops come from or what becomes of the
vectors.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from serve_app import policy
from serve_app.errors import FaceServeError, InvalidImageError, UnavailableError
from serve_app.ports import Extractor
from serve_app.types import Crop, Embeddings


@dataclass(frozen=True, slots=True)
class Embedded:
    """What became of a list of crops. ``embeddings`` holds those that have one, in their order, and
    is None if none has; ``failures`` says of the other positions why not."""

    embeddings: Embeddings | None
    failures: dict[int, FaceServeError] = field(default_factory=dict)


async def embed(extractor: Extractor, crops: Sequence[Crop], crops_a_call: int) -> Embedded:
    """Embeddings of crops, each (112, 112, 3).

    Raises UnavailableError if they came of two models that may not be mixed: the extractor is just
    being replaced.
    """
    parts: list[Embeddings] = []
    failures: dict[int, FaceServeError] = {}
    for start in range(0, len(crops), crops_a_call):
        chunk = crops[start : start + crops_a_call]
        try:
            parts.append(await _extract(extractor, chunk))
        except InvalidImageError as error:
            if len(chunk) == 1:
                failures[start] = error
                continue
            # The extractor doesn't say which crop it was, so each is asked for alone.
            alone = await embed(extractor, chunk, 1)
            failures |= {start + position: e for position, e in alone.failures.items()}
            if alone.embeddings is not None:
                parts.append(alone.embeddings)
    return Embedded(joined(parts) if parts else None, failures)


async def _extract(extractor: Extractor, crops: Sequence[Crop]) -> Embeddings:
    embeddings = await extractor.extract(np.stack(crops))
    if len(embeddings.vectors) != len(crops):
        raise FaceServeError("the extractor answered another number of crops than were sent")
    return embeddings


def joined(parts: Sequence[Embeddings]) -> Embeddings:
    """One of several, in their order. Raises UnavailableError if they came of two models that may
    not be mixed."""
    model_id = parts[0].model_id
    if not all(policy.fits(part, model_id) for part in parts):
        raise UnavailableError("the extractor is being replaced by another model: try again")
    # Together they fit where each of them fits.
    shared = frozenset.intersection(*(part.compatible_with | {part.model_id} for part in parts))
    vectors = np.concatenate([part.vectors for part in parts])
    return Embeddings(model_id, vectors, shared - {model_id})
