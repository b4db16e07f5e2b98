"""What is read from the store, as values. Knows neither FAISS nor how it was queried."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from serve_app.errors import GalleryMismatchError, UnavailableError
from serve_app.types import Embeddings, GalleryInfo, IndexType, Metric, Vectors


@dataclass(frozen=True, slots=True)
class SearchRequest:
    """Probes (N, D), N >= 0, to search in one gallery."""

    key: str
    probes: Embeddings
    top_k: int

    @property
    def cost(self) -> int:
        return max(1, len(self.probes.vectors))


@dataclass(frozen=True, slots=True)
class TemplateRows:
    """Templates as read: ids and labels of N templates and their vectors (N, D)."""

    ids: list[int]
    labels: list[str]
    vectors: Vectors


@dataclass(frozen=True, slots=True)
class Changes:
    """What happened to a gallery up to ``info.seq``, read in one snapshot with it."""

    info: GalleryInfo
    added: TemplateRows
    removed: list[int]


def check_fits(info: GalleryInfo, embeddings: Embeddings) -> None:
    """Raises GalleryMismatchError unless ``embeddings`` come from the gallery's own model."""
    if info.model_id != embeddings.model_id:
        raise GalleryMismatchError(
            f"gallery {info.key} holds embeddings of model {info.model_id}, this service runs "
            f"{embeddings.model_id}: serve with the gallery's model or build the gallery anew"
        )
    if info.dimension != embeddings.vectors.shape[1]:
        raise GalleryMismatchError(
            f"gallery {info.key} holds {info.dimension} dimensions, these embeddings have "
            f"{embeddings.vectors.shape[1]}"
        )


def template_rows(rows: Sequence[Any], dimension: int) -> TemplateRows:
    """Templates from rows of the table ``template``."""
    blobs = [row.embedding for row in rows]
    if any(len(blob) != 4 * dimension for blob in blobs):  # one short blob would shift the rest
        raise UnavailableError("the gallery store holds a damaged embedding: restore a backup")
    joined = np.frombuffer(b"".join(blobs), dtype="<f4")
    vectors = joined.reshape(len(rows), dimension).astype(np.float32)
    return TemplateRows([row.id for row in rows], [row.label for row in rows], vectors)


def gallery_info(row: Any) -> GalleryInfo:
    """The facts in a row of the table ``gallery``."""
    return GalleryInfo(
        key=row.key,
        generation=row.generation,
        seq=row.seq,
        index_type=IndexType(row.index_type),
        metric=Metric(row.metric),
        dimension=row.dimension,
        model_id=row.model_id,
    )
