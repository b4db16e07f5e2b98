"""The two shapes an input comes in: images to be embedded, and embeddings that are ready."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from serve_app.types import Vectors


@dataclass(frozen=True, slots=True)
class ImageRow:
    """One image and its label. ``source``: an absolute path or URL, to be read by a worker, and
    what the report calls it; ``image``: its bytes, where the table holds them; ``fault``: why the
    row can't be enrolled, as a sentence, where that is known already."""

    position: int
    source: str
    label: str
    image: bytes | None = None
    id: int | None = None
    fault: str | None = None


@dataclass(frozen=True, slots=True)
class EmbeddingRows:
    """N rows of ready embeddings, from ``start`` on: vectors (N, D) float32, L2-normalised where
    ``faults`` has nothing of a row (its offset in ``labels``), ids where the table gives them."""

    start: int
    labels: list[str]
    vectors: Vectors
    ids: list[int] | None
    faults: dict[int, str]


@runtime_checkable
class ImageInput(Protocol):
    """Rows of images. ``total``: how many; ``fingerprint``: changes if the rows do (paths, labels,
    sizes of table files), without reading the images. Picklable parts: a worker reads ``rows``."""

    @property
    def total(self) -> int: ...

    @property
    def fingerprint(self) -> str: ...

    def rows(self, start: int, stop: int) -> Iterator[ImageRow]:
        """Those at positions ``start <= p < stop``, in their order. Cheap to begin anywhere."""
        ...


@runtime_checkable
class EmbeddingInput(Protocol):
    """Ready embeddings of one model and dimension. As ``ImageInput``."""

    @property
    def total(self) -> int: ...

    @property
    def fingerprint(self) -> str: ...

    @property
    def dimension(self) -> int: ...

    @property
    def model_id(self) -> str: ...

    def batches(self, start: int, size: int) -> Iterator[EmbeddingRows]:
        """Rows from ``start`` on, ``size`` or fewer at a time; memory holds a few batches."""
        ...
