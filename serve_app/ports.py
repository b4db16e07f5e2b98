"""The ports: all that the service knows of the stages behind it.

``deployments.clients`` implements them over Ray handles, ``tests.fakes`` in memory.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from serve_app.audit_rows import AuditQuery, AuditRow
from serve_app.config import JobRequest
from serve_app.held import Erasure, HeldPage, HeldPlace
from serve_app.types import (
    Consistency,
    Crop,
    Crops,
    Embeddings,
    Face,
    GalleryEntry,
    GalleryInfo,
    Job,
    JobRejection,
    Metric,
    Operation,
    Receipt,
    SearchResult,
    TemplateEntry,
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
    """What recognition needs of galleries. Every mutation is one transaction: all or nothing.

    ``with_labels`` asks for the gallery's whole id-to-label map in the receipt. A mutation with an
    ``operation`` that was done before does nothing and answers as it did then; it raises
    OperationReusedError if something else was asked then. Every method raises UnavailableError.
    """

    async def build(
        self,
        key: str,
        index_type: str,
        metric: Metric,
        labels: Sequence[str],
        embeddings: Embeddings,
        *,
        with_labels: bool,
        operation: Operation | None = None,
    ) -> Receipt:
        """Create a gallery with its first templates, ids from 0. ``index_type``: an ``IndexType``
        or a FAISS factory string.

        Raises GalleryExistsError, InvalidRequestError for an ``index_type`` that can't work.
        """
        ...

    async def add(
        self,
        key: str,
        labels: Sequence[str],
        embeddings: Embeddings,
        *,
        with_labels: bool,
        operation: Operation | None = None,
    ) -> Receipt:
        """Raises GalleryNotFoundError, GalleryMismatchError."""
        ...

    async def remove(
        self,
        key: str,
        ids: Sequence[int],
        *,
        with_labels: bool,
        operation: Operation | None = None,
    ) -> Receipt:
        """Unknown, repeated and negative ids are ignored. Raises GalleryNotFoundError."""
        ...

    async def answered(self, operation: Operation, *, with_labels: bool = False) -> Receipt | None:
        """What ``operation`` did, if it was done before. Labels that were removed since are not
        told again. Raises OperationReusedError."""
        ...

    async def search(
        self,
        key: str,
        probes: Embeddings,
        top_k: int,
        *,
        consistency: Consistency = Consistency.STRONG,
    ) -> SearchResult:
        """Sees every mutation acknowledged before it started, unless the result is ``stale``.

        Raises GalleryNotFoundError, GalleryMismatchError.
        """
        ...

    async def describe(self, key: str) -> GalleryInfo:
        """Raises GalleryNotFoundError."""
        ...


class Galleries(Protocol):
    """Galleries as things to look at and to look after. Mutations as ``Index`` has them.

    Every method raises UnavailableError; all but ``list`` raise GalleryNotFoundError.
    """

    async def list(
        self, after: str, limit: int, *, tenant: str | None = None
    ) -> Sequence[GalleryEntry]:
        """Up to ``limit`` galleries with names above ``after``, by name; all start above "". Of one
        tenant if it is given."""
        ...

    async def entry(self, key: str) -> GalleryEntry: ...

    async def templates(
        self, key: str, label: str | None, after: int, limit: int
    ) -> Sequence[TemplateEntry]:
        """Up to ``limit`` templates with ids above ``after``, by id; of ``label`` if given."""
        ...

    async def remove_label(
        self, key: str, label: str, *, operation: Operation | None = None
    ) -> Receipt:
        """Remove every template of a label; none is no error."""
        ...

    async def drop(self, key: str, *, operation: Operation | None = None) -> Receipt:
        """Remove the gallery with all that is in it: the receipt counts that."""
        ...

    async def optimize(self, key: str, *, operation: Operation | None = None) -> Receipt:
        """Ask for an index that is built of all that is in the gallery now. It comes later."""
        ...


class Jobs(Protocol):
    """Bulk jobs. Every method raises UnavailableError; those with an id JobNotFoundError."""

    async def submit(self, job_id: str, request: JobRequest) -> Job:
        """Begin a job, or go on with the one of this id if the same was asked.

        Raises OperationReusedError, InvalidRequestError if the request can't work.
        """
        ...

    async def job(self, job_id: str) -> Job: ...

    async def jobs(self, limit: int, *, tenant: str | None = None) -> Sequence[Job]:
        """The newest, newest first; of one tenant if it is given."""
        ...

    async def rejections(self, job_id: str, after: int, limit: int) -> Sequence[JobRejection]:
        """Rejected rows with positions above ``after``, by position."""
        ...

    async def cancel(self, job_id: str) -> Job:
        """Nothing is left of what it staged. One that is over stays as it is."""
        ...

    async def forget(self, job_id: str) -> None:
        """Remove what is known of a job that is over; one that is not there is no error."""
        ...


class People(Protocol):
    """What a tenant holds about a label. Every method raises UnavailableError."""

    async def held(
        self,
        label: str,
        after: HeldPlace | None,
        limit: int,
        *,
        embeddings: bool,
        tenant: str = "",
    ) -> HeldPage:
        """Up to ``limit`` templates and rows of jobs' inputs after a place; with the templates'
        embeddings if they are asked for. The audit log tells of it."""
        ...

    async def erase(self, label: str, *, tenant: str = "") -> Erasure:
        """Erase it everywhere, as far as that can be done just now; again, it does what is left."""
        ...


class AuditLog(Protocol):
    async def rows(self, asked: AuditQuery) -> Sequence[AuditRow]:
        """By time, then by gallery, then by number. Raises UnavailableError."""
        ...
