"""PaddleX's face recognition pipeline: build, change and search a gallery, in this process."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Literal

from serve_app.config import PipelineConfig
from serve_app.errors import FaceServeError, InvalidRequestError
from serve_app.index.gallery import check_index_type
from serve_app.index.index_data import IndexData
from serve_app.pipeline.annotation import read_gallery, read_remove_ids
from serve_app.pipeline.enrolment import embed_gallery
from serve_app.pipeline.inputs import InputReader
from serve_app.pipeline.pool import StagePool
from serve_app.pipeline.recognition import Asked, Recogniser
from serve_app.pipeline.results import FaceResult
from serve_app.pipeline.streaming import stream
from serve_app.pipeline.timings import Timings
from serve_app.types import Embeddings, Metric

Index = IndexData | str | Path
"""A gallery in memory, or the directory of a saved one."""


class FaceRecognitionPipeline:
    """What ``create_pipeline`` returns. Any thread may call it.

    ``workers``: threads that ``predict`` and ``build_index`` use, each with networks of its own.
    ``index``: the gallery of calls of ``predict`` that name none. ``timings``: where the time of
    ``predict`` goes.
    """

    def __init__(
        self,
        config: PipelineConfig,
        pool: StagePool,
        reader: InputReader,
        *,
        workers: int,
        timings: Timings,
        index: Index | None = None,
    ) -> None:
        self.timings = timings
        self._config = config
        self._pool = pool
        self._reader = reader
        self._workers = workers
        self._index = None if index is None else self._opened(index)

    def build_index(
        self,
        gallery_imgs: Any,
        gallery_label: Any,
        metric_type: str = "IP",
        index_type: str = "HNSW32",
    ) -> IndexData:
        """A gallery of images and labels.

        ``gallery_imgs``, ``gallery_label``: a root directory and its annotation file (a line is
        ``path label``), or a list of images (paths or BGR arrays (H, W, 3) uint8) and a list of
        labels. ``index_type``: Flat, IVF, HNSW32 or a FAISS factory string; ``metric_type``: IP or
        L2. All or nothing: raises RejectedPairsError naming every image that can't be enrolled,
        InvalidRequestError for anything else that is wrong with what was given.
        """
        metric = _metric(metric_type)
        check_index_type(index_type, self._pool.dimension, metric)  # before anything is embedded
        labels, embeddings = self._embedded(gallery_imgs, gallery_label)
        return IndexData.build(index_type, metric, labels, embeddings, threads=self._workers)

    def append_index(self, gallery_imgs: Any, gallery_label: Any, index: Index) -> IndexData:
        """Enrol more, as ``build_index`` takes them, and return the gallery.

        An IndexData is changed in place, whole or not at all; the files of a directory are not:
        save what is returned. Raises GalleryMismatchError for a gallery of another model.
        """
        gallery = self._opened(index)
        gallery.append(*self._embedded(gallery_imgs, gallery_label))
        return gallery

    def remove_index(self, remove_ids: str | Path | Iterable[int], index: Index) -> IndexData:
        """Remove templates by id, given in a list or in a file with one id a line. Ids that are not
        there are ignored. What is changed, and what is returned: as ``append_index``."""
        gallery = self._opened(index)
        gallery.remove(read_remove_ids(remove_ids))
        return gallery

    def predict(
        self,
        input: Any,  # noqa: A002 - PaddleX's name
        index: Index | None = None,
        *,
        det_threshold: float | None = None,
        rec_threshold: float | None = None,
        rec_topk: int | None = None,
        on_error: Literal["raise", "skip"] = "raise",
    ) -> Iterator[FaceResult]:
        """Who is in these pictures: a generator of one result an image, in order.

        ``input``: a BGR array (H, W, 3) uint8, a path, an http(s) URL, a directory (recursive,
        sorted), ``{"img": any of these}``, or an iterable of any of them. It is read as the results
        are taken: memory does not grow with its length. A generator is taken one at a time, so that
        a camera's pictures are answered at once.

        ``index``: left out, the pipeline's own. Thresholds and ``rec_topk`` left out are the
        pipeline's; ``rec_threshold`` is in the gallery's own metric. ``on_error="skip"`` leaves out
        images that can't be read, with a warning in the log. Raises InvalidRequestError,
        InvalidImageError, TooLargeError, FetchError, GalleryMismatchError, each naming the input.
        """
        config = self._config
        if on_error not in ("raise", "skip"):
            raise InvalidRequestError(f"on_error: {on_error} is not known; write raise or skip")
        top_k = config.top_k if rec_topk is None else rec_topk
        if top_k < 0:
            raise InvalidRequestError(f"rec_topk is {top_k}: it must be 0 or more")
        gallery = self._index if index is None else self._opened(index)
        if gallery is None:
            raise InvalidRequestError(
                "no gallery to search: pass index=, or create the pipeline with index="
            )
        asked = Asked(
            config.det_threshold if det_threshold is None else float(det_threshold),
            None if rec_threshold is None else float(rec_threshold),
            config.rec_threshold,
            top_k,
            config.compat.threshold,
            on_error == "skip",
        )
        recogniser = Recogniser(self._pool, gallery, asked, self.timings)
        live = isinstance(input, Iterator)
        answers = stream(
            self._reader.expand(input),
            recogniser.recognise,
            workers=1 if live else self._workers,
            chunk=1 if live else config.extractor.batch_size,
        )
        return self.timings.clocked(_raised(answers))

    def _embedded(self, gallery_imgs: Any, gallery_label: Any) -> tuple[list[str], Embeddings]:
        return embed_gallery(
            read_gallery(gallery_imgs, gallery_label, self._reader),
            self._pool,
            workers=self._workers,
            chunk=self._config.extractor.batch_size,
        )

    def _opened(self, index: Index) -> IndexData:
        return (
            index if isinstance(index, IndexData) else IndexData.load(index, threads=self._workers)
        )


def _raised(answers: Iterator[FaceResult | FaceServeError]) -> Iterator[FaceResult]:
    """Results until the first error, which is raised."""
    for answer in answers:
        if isinstance(answer, FaceServeError):
            raise answer
        yield answer


def _metric(metric_type: str) -> Metric:
    try:
        return Metric(metric_type)
    except ValueError:
        raise InvalidRequestError(
            f"metric_type: {metric_type} is not known; write IP or L2"
        ) from None
