"""The feature stage: crops in, L2-normalised embeddings out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from serve_app.errors import FaceServeError, InvalidImageError, ModelError
from serve_app.models.canvas import Canvas
from serve_app.models.inference_yml import Normalise
from serve_app.models.runtime import Session, Tensors, memory_of
from serve_app.types import CROP_SIZE, Crops, Embeddings

MIRROR_SUFFIX = "+mirror"


class ExtractStage:
    """Not thread-safe: one thread at a time runs it.

    ``mirror`` averages the embedding with that of the mirrored crop: twice the cost, fewer errors
    (docs/benchmarks.md). Its vectors carry a model id of their own, so that they are not mixed with
    plain ones. ``compatible_with``: ids, without that suffix, of what they may be mixed with.
    """

    def __init__(
        self,
        session: Session,
        normalise: Normalise,
        *,
        model_id: str,
        max_batch: int,
        mirror: bool = False,
        compatible_with: Iterable[str] = (),
    ) -> None:
        self._session = session
        self._normalise = normalise
        self._canvas = Canvas(memory_of(session))
        self._max_batch = max_batch
        self._mirror = mirror
        suffix = MIRROR_SUFFIX if mirror else ""
        self.model_id = model_id + suffix
        self.compatible_with = frozenset(other + suffix for other in compatible_with)
        # Compiles what the runtime compiles at first use, and tells the dimension.
        blank = np.full((1, CROP_SIZE, CROP_SIZE, 3), 100, dtype=np.uint8)
        self.dimension = int(self._features(blank).shape[1])

    def extract(self, crops: Crops) -> Embeddings:
        """Embeddings of (N, 112, 112, 3) uint8 RGB crops, N >= 1, in their order.

        Raises InvalidImageError if the network gives no usable vector for one of them.
        """
        (answer,) = self.run([crops])
        if isinstance(answer, FaceServeError):
            raise answer
        return answer

    def run(self, items: Sequence[Crops]) -> list[Embeddings | FaceServeError]:
        """One answer an item; the crops of all items share the network's runs.

        A crop without a usable vector (zero or not finite) fails its own item alone.
        """
        vectors = self._embed(np.concatenate(items) if len(items) > 1 else items[0])
        norms = np.linalg.norm(vectors, axis=1)
        usable = np.isfinite(norms) & (norms > 1e-12)
        vectors /= np.where(usable, norms, 1)[:, None]
        answers: list[Embeddings | FaceServeError] = []
        start = 0
        for item in items:
            rows = slice(start, start := start + len(item))
            if usable[rows].all():
                answers.append(Embeddings(self.model_id, vectors[rows], self.compatible_with))
            else:
                answers.append(InvalidImageError("face can't be embedded: its crop is blank"))
        return answers

    def _embed(self, crops: Crops) -> NDArray[np.float32]:
        parts = []
        for start in range(0, len(crops), self._max_batch):
            part = crops[start : start + self._max_batch]
            features = self._features(part)
            if self._mirror:
                features = _unit(features) + _unit(self._features(part[:, :, ::-1]))
            parts.append(features)
        return np.concatenate(parts)

    def inputs(self, crops: Crops) -> Tensors:
        """What the network sees of crops: good until the next call."""
        (name,) = self._session.input_names
        return {name: self._normalise.apply(crops, self._canvas)}

    def _features(self, crops: Crops) -> NDArray[np.float32]:
        outputs = self._session.run(self.inputs(crops))
        (features,) = outputs.values()
        if features.ndim != 2 or len(features) != len(crops):
            raise ModelError(
                f"extractor gives an output of shape {features.shape} for {len(crops)} crops; "
                "(N, D) is expected"
            )
        return np.array(features, dtype=np.float32)


def _unit(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.where(norms > 1e-12, norms, 1), dtype=np.float32)
