"""PaddleX's ``IndexData``: a gallery in the memory of the calling process, and its directory.

Owns which ids are given out and what may be enrolled. Knows no database and no images.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence
from operator import index as as_integer
from pathlib import Path
from typing import SupportsIndex

import numpy as np

from serve_app.errors import GalleryMismatchError, InvalidRequestError, UnavailableError
from serve_app.index.copies.directory import (
    IndexDirectory,
    read_directory,
    write_directory,
    wrong_length,
)
from serve_app.index.copies.placing import new_directory, new_files
from serve_app.index.gallery import check_index_type
from serve_app.index.in_memory import EXACT_UNTIL, InMemoryGallery, Templates
from serve_app.policy import MAX_TEMPLATE_ID, fits, removable
from serve_app.types import Embeddings, IndexType, Metric, SearchResult, Vectors


class IndexData:
    """A gallery: what ``build_index`` returns and ``index=`` takes. Any thread may use it.

    ``build`` and ``load`` make it of a gallery in memory, the next id, and the model of its
    embeddings (None: unknown).
    """

    def __init__(self, gallery: InMemoryGallery, next_id: int, model_id: str | None) -> None:
        self._gallery = gallery
        self._next_id = next_id
        self._model_id = model_id
        self._changing = threading.Lock()  # ids reach the gallery in their order

    @classmethod
    def build(
        cls,
        index_type: str,
        metric: Metric,
        labels: Sequence[str],
        embeddings: Embeddings,
        *,
        threads: int = 1,
        exact_until: int = EXACT_UNTIL,
    ) -> IndexData:
        """A gallery of N labels and embeddings (N, D); ids are 0 to N - 1.

        ``index_type``: Flat, IVF, HNSW32 or another FAISS factory string. Up to ``exact_until``
        templates are searched exactly, whatever the type; above, an index is trained, here or in
        the ``append`` that gets there, and anew when a quarter was added or a fifth removed.
        ``threads``: cores of a training; a search takes one.

        Raises InvalidRequestError for a type that FAISS can't build, labels that can't be kept and
        vectors that are not L2-normalised.
        """
        vectors = embeddings.vectors
        check_index_type(index_type, vectors.shape[1], metric)
        _check(labels, vectors)
        templates = Templates(np.arange(len(vectors), dtype=np.int64), list(labels), vectors)
        gallery = InMemoryGallery(
            str(index_type), metric, templates, threads=threads, exact_until=exact_until
        )
        return cls(gallery, len(vectors), embeddings.model_id)

    @classmethod
    def load(
        cls,
        directory: str | Path,
        model_id: str | None = None,
        *,
        threads: int = 1,
        exact_until: int = EXACT_UNTIL,
    ) -> IndexData:
        """The gallery of an index directory, PaddleX's or one that ``save`` made.

        PaddleX's says nothing of the model: it is ``model_id`` then, unknown if that is None. The
        index in the file is taken as it is, unless its type is one that PaddleX doesn't know or
        its ids are in disorder.

        Raises InvalidRequestError naming the file that is missing, damaged or says otherwise,
        GalleryMismatchError if it is of another model than ``model_id``.
        """
        content = read_directory(Path(directory), index_above=exact_until)
        if model_id is not None and content.model_id not in (None, model_id):
            raise GalleryMismatchError(_other_model(content.model_id, model_id))
        for number, label in zip(content.ids.tolist(), content.labels, strict=True):
            if why := label_fault(label):
                raise InvalidRequestError(f"the label of id {number} {why}")
        if content.index_type not in {*IndexType} and len(content.ids) > exact_until:
            check_index_type(content.index_type, content.dimension, content.metric)
        gallery = InMemoryGallery(
            content.index_type,
            content.metric,
            Templates(content.ids, content.labels, content.vectors),
            built=content.index,
            threads=threads,
            exact_until=exact_until,
        )
        return cls(gallery, content.next_id, content.model_id or model_id)

    @property
    def id_map(self) -> dict[int, str]:
        """Every template's id and label; a copy."""
        return self._gallery.labels()

    @property
    def index_type(self) -> str:
        return self._gallery.index_type

    @property
    def metric(self) -> Metric:
        return self._gallery.metric

    @property
    def metric_type(self) -> str:
        """IP or L2."""
        return self._gallery.metric.value

    @property
    def model_id(self) -> str | None:
        """Of the model that made the embeddings; None if that is unknown."""
        return self._model_id

    @property
    def dimension(self) -> int:
        return self._gallery.dimension

    @property
    def next_id(self) -> int:
        """What the next template gets. No id is given out twice."""
        return self._next_id

    def __len__(self) -> int:
        """Templates."""
        return len(self._gallery)

    def __repr__(self) -> str:
        model = self._model_id or "an unknown model"
        return f"IndexData({self.index_type}, {self.metric_type}, {len(self)} templates of {model})"

    def append(self, labels: Sequence[str], embeddings: Embeddings) -> list[int]:
        """Enrol N labels and embeddings (N, D), all or none; returns their ids.

        Raises GalleryMismatchError for another model's or of another dimension,
        InvalidRequestError as ``build`` does.
        """
        self._check_fits(embeddings)
        _check(labels, embeddings.vectors)
        with self._changing:
            ids = range(self._next_id, self._next_id + len(labels))
            if ids.stop > MAX_TEMPLATE_ID:
                raise InvalidRequestError("no ids are left: build the index anew")
            numbers = np.arange(ids.start, ids.stop, dtype=np.int64)
            self._gallery.add(Templates(numbers, list(labels), embeddings.vectors))
            self._next_id = ids.stop
        return list(ids)

    def remove(self, ids: Iterable[SupportsIndex]) -> list[int]:
        """Remove templates, from an index of any type. Unknown, repeated and negative ids are
        ignored; returns those that were there, ascending."""
        try:
            asked = removable([as_integer(number) for number in ids])
        except TypeError:
            raise InvalidRequestError("ids to remove are integers") from None
        return self._gallery.remove(asked)

    def search(self, embeddings: Embeddings, top_k: int) -> SearchResult:
        """The ``top_k`` nearest templates of each probe (N, D).

        Raises GalleryMismatchError for probes of another model or dimension.
        """
        self._check_fits(embeddings)
        return SearchResult(self.metric, self._gallery.search(embeddings.vectors, top_k))

    def save(self, save_path: str | Path) -> None:
        """Write the directory ``save_path``: ``vector.index`` and ``id_map.yaml``, which PaddleX
        loads, and ``face_serve.json``, without which ``load`` knows no model and no next id.

        An index that was saved there is replaced, whole or not at all; other files are left alone.
        A trained index is written as it is; if templates were removed from it, another is trained,
        as PaddleX's files have no place for gaps.

        Raises InvalidRequestError if ``save_path`` is a file, UnavailableError if it can't be
        written.
        """
        target = Path(save_path)
        with self._changing:
            templates, built = self._gallery.whole()
            content = IndexDirectory(
                index_type=self.index_type,
                metric=self.metric,
                ids=templates.ids,
                labels=templates.labels,
                vectors=templates.vectors,
                next_id=self._next_id,
                model_id=self._model_id,
                index=built,
            )
        with new_files(target) if _is_directory(target) else new_directory(target) as made:
            write_directory(made, content, threads=self._gallery.threads)

    def _check_fits(self, embeddings: Embeddings) -> None:
        if self._model_id is not None and not fits(embeddings, self._model_id):
            raise GalleryMismatchError(_other_model(self._model_id, embeddings.model_id))
        given = embeddings.vectors.shape[1]
        if given != self.dimension:
            raise GalleryMismatchError(
                f"the index holds {self.dimension} dimensions, the pipeline's embeddings have "
                f"{given}: use the model that the index was built with, or build it anew"
            )


def _is_directory(target: Path) -> bool:
    try:
        if target.is_dir():
            return True
        if target.exists():
            raise InvalidRequestError(f"{target.name} is a file: name a directory to save to")
    except OSError as error:
        raise UnavailableError(f"{target.name} can't be written: {error.strerror}") from None
    return False


def _other_model(of_index: str | None, given: str) -> str:
    return (
        f"the index holds embeddings of model {of_index}, the pipeline runs {given}: use the "
        "model that the index was built with, or build it anew"
    )


def _check(labels: Sequence[str], vectors: Vectors) -> None:
    """Raises InvalidRequestError for what can't be enrolled."""
    if isinstance(labels, str) or len(labels) != len(vectors):
        raise InvalidRequestError(
            f"{len(vectors)} images and {len(labels)} labels: give a list of one label an image"
        )
    for position, label in enumerate(labels):
        if not isinstance(label, str):
            kind = type(label).__name__
            raise InvalidRequestError(f"label {position} has type {kind}: write it as a string")
        if why := label_fault(label):
            raise InvalidRequestError(f"label {position} {why}")
    if wrong := wrong_length(vectors):
        row, length = wrong
        raise InvalidRequestError(
            f"embedding {row} has length {length:.4g}, embeddings have 1: normalise them first"
        )


def label_fault(label: str) -> str | None:
    """Why a label can't be kept, as a predicate."""
    if "\0" in label:
        return "holds the character NUL: leave it out"
    try:
        label.encode()
    except UnicodeEncodeError:
        return "is no Unicode text: it holds half of a surrogate pair"
    return None
