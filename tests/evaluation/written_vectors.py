"""Stands for a pipeline: an image file holds its vector as text, or nothing: no face."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import numpy as np

from serve_app.errors import InvalidImageError, NoFaceError
from serve_app.pipeline import FacePipeline
from serve_app.types import Embeddings


class WrittenVectors:
    extractor = SimpleNamespace(model_id="toy@1", dimension=3, compatible_with=frozenset[str]())

    def __init__(self) -> None:
        self.seen: list[bytes] = []
        self._lock = threading.Lock()

    def embed_for_enrolment(self, image: bytes) -> Embeddings:
        with self._lock:
            self.seen.append(image)
        if not image:
            raise NoFaceError("no face found")
        try:
            vector = np.array([float(value) for value in image.split()], dtype=np.float32)
        except ValueError:
            raise InvalidImageError("not an image") from None
        return Embeddings("toy@1", (vector / np.linalg.norm(vector))[np.newaxis])

    def open(self) -> FacePipeline:
        return cast(FacePipeline, self)


def write(root: Path, images: Mapping[str, str]) -> None:
    """Files of ``images``: name to what they hold."""
    for name, content in images.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(content, encoding="utf-8")


def text(vector: Iterable[float]) -> str:
    return " ".join(map(str, vector))
