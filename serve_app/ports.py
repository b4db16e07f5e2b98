"""The three ports: all that the service knows of the stages behind it.

``deployments.clients`` implements them over Ray handles, ``tests.fakes`` in memory.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from serve_app.types import (
    Crop,
    Crops,
    Embeddings,
    Face,
    GalleryInfo,
    IndexType,
    Metric,
    Receipt,
    SearchResult,
)


class Detector(Protocol):
    async def detect(self, image: bytes, threshold: float) -> list[Face]:
        """Faces of an encoded image with a score above ``threshold``, in the detector's order.

        Raises InvalidImageError, TooLargeError.
        """
        ...

    async def crop_whole(self, image: bytes) -> Crop:
        """The whole image as one crop: for galleries whose images are crops already."""
        ...


class Extractor(Protocol):
    async def extract(self, crops: Crops) -> Embeddings:
        """Embeddings of crops (N, 112, 112, 3), N >= 1, in their order."""
        ...


class Index(Protocol):
    """Galleries. Every mutation is one transaction: all of it or nothing.

    ``with_labels`` asks for the gallery's whole id-to-label map in the receipt.
    """

    async def build(
        self,
        key: str,
        index_type: IndexType,
        metric: Metric,
        labels: Sequence[str],
        embeddings: Embeddings,
        *,
        with_labels: bool,
    ) -> Receipt:
        """Create a gallery with its first templates, ids from 0. Raises GalleryExistsError."""
        ...

    async def add(
        self, key: str, labels: Sequence[str], embeddings: Embeddings, *, with_labels: bool
    ) -> Receipt:
        """Raises GalleryNotFoundError, GalleryMismatchError."""
        ...

    async def remove(self, key: str, ids: Sequence[int], *, with_labels: bool) -> Receipt:
        """Unknown, repeated and negative ids are ignored. Raises GalleryNotFoundError."""
        ...

    async def search(self, key: str, probes: Embeddings, top_k: int) -> SearchResult:
        """Sees every mutation acknowledged before it started.

        Raises GalleryNotFoundError, GalleryMismatchError.
        """
        ...

    async def describe(self, key: str) -> GalleryInfo:
        """Raises GalleryNotFoundError."""
        ...
