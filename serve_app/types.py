"""The words of the system: what travels between the stages.

Arrays name their shape, dtype and colour order here once; everything else refers to these aliases.
Owns no behaviour and knows nothing of Ray, HTTP, models or databases.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]
"""(H, W, 3) uint8, RGB, upright (EXIF orientation applied)."""

Crop = NDArray[np.uint8]
"""(112, 112, 3) uint8, RGB: one face, aligned where the detector gives landmarks."""

Crops = NDArray[np.uint8]
"""(N, 112, 112, 3) uint8, RGB."""

Landmarks = NDArray[np.float32]
"""(5, 2) float32, pixels of the original image: right eye, left eye, nose, right and left mouth
corner as the person's own right and left."""

Vectors = NDArray[np.float32]
"""(N, D) float32, each row L2-normalised."""

Box = tuple[float, float, float, float]
"""x1, y1, x2, y2 in pixels of the original image."""

CROP_SIZE = 112
"""Side of a crop in pixels: every embedding model here takes 112 x 112 (ArcFace's convention)."""


class IndexType(StrEnum):
    """How FAISS searches a gallery: PaddleX's three. A gallery's type may also be any other string
    that FAISS's ``index_factory`` takes."""

    FLAT = "Flat"
    IVF = "IVF"
    HNSW32 = "HNSW32"


class Metric(StrEnum):
    """IP: cosine of L2-normalised embeddings, larger is closer. L2: squared distance, smaller is
    closer (2 - 2 cos)."""

    IP = "IP"
    L2 = "L2"


@dataclass(frozen=True, slots=True)
class Detection:
    """One face as the detector saw it. ``landmarks`` is None for detectors that give boxes only."""

    box: Box
    score: float
    landmarks: Landmarks | None = None


@dataclass(frozen=True, slots=True)
class Face:
    """A detected face with the crop that the extractor embeds."""

    box: Box
    score: float
    crop: Crop


@dataclass(frozen=True, slots=True)
class Embeddings:
    """What the extractor answers: vectors (N, D) float32 and the model that made them.

    The model id travels with the vectors so that vectors of two models are never mixed, also not
    while a rolling upgrade has replicas of both. ``compatible_with``: ids of the same network at
    other precisions, as far as a check recorded where the vectors were made that they may be
    mixed; who may is for ``policy.fits`` to say.
    """

    model_id: str
    vectors: Vectors
    compatible_with: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Candidate:
    """One template that is close to a probe. ``score`` is in the gallery's metric."""

    template_id: int
    label: str
    score: float


class Consistency(StrEnum):
    """STRONG: a search sees every change acknowledged before it started, or fails. EVENTUAL: where
    the store does not answer, what the replica has in memory will do, and the answer says so."""

    STRONG = "strong"
    EVENTUAL = "eventual"


@dataclass(frozen=True, slots=True)
class SearchResult:
    """Candidates of each probe, nearest first, before any threshold.

    ``stale``: the store did not answer, so later changes may be missing.
    """

    metric: Metric
    candidates: list[list[Candidate]]
    stale: bool = False


@dataclass(frozen=True, slots=True)
class GalleryInfo:
    """A gallery's facts at one sequence number.

    ``generation`` changes when a gallery is built anew; ``seq`` grows by one with each mutation.
    A cache is current if it has both. ``index_type`` is an ``IndexType`` or a FAISS factory string.
    ``next_id``: what the next template gets; ``snapshot``: name of the newest snapshot of the shard
    that was asked about.
    """

    key: str
    generation: str
    seq: int
    index_type: str
    metric: Metric
    dimension: int
    model_id: str
    size: int = 0
    next_id: int = 0
    snapshot: str | None = None


@dataclass(frozen=True, slots=True)
class Shard:
    """A part of every gallery: the templates whose ``id % of == number``."""

    number: int = 0
    of: int = 1


@dataclass(frozen=True, slots=True)
class Receipt:
    """What a mutation did, read in its own transaction.

    ``ids`` are those enrolled or removed; ``count`` is the gallery's size after it; ``labels`` maps
    every template id to its label after it, or is None where the caller did not ask. ``key`` is the
    gallery's; ``note`` what the caller asked to be kept with the answer.
    """

    ids: list[int]
    count: int
    labels: dict[int, str] | None = None
    key: str = ""
    note: str = ""


@dataclass(frozen=True, slots=True)
class Operation:
    """Names a mutation, so that one that is sent again is done once and answered the same.

    ``id`` is unique to a caller's intent; ``digest`` tells what was asked: the same id with another
    digest is a caller's mistake. ``note`` is kept with the answer: never labels or images.
    """

    id: str
    digest: str = ""
    note: str = ""


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks, and what it may bring its tenant to.

    ``tenant``: "" is the default one. ``actor``: the id of an API key, or ANONYMOUS or OPERATOR;
    ``address``: where it asks from, "" where that is this machine. ``max_faces``,
    ``max_galleries``: how many its tenant may have after what it asks; None: any number.
    """

    tenant: str = ""
    actor: str = "anonymous"
    address: str = ""
    max_faces: int | None = None
    max_galleries: int | None = None


ANONYMOUS = Caller()
"""Of a service that asks for no API keys."""
OPERATOR = Caller(actor="operator")
"""Whoever runs a command on the database itself."""


@dataclass(frozen=True, slots=True)
class GalleryEntry:
    """A gallery in a listing. Times are seconds since the epoch."""

    info: GalleryInfo
    created_at: float
    changed_at: float


@dataclass(frozen=True, slots=True)
class TemplateEntry:
    """A template in a listing, without its embedding."""

    id: int
    label: str


class JobMode(StrEnum):
    """CREATE: a gallery that must not be there yet. APPEND: templates at the end of one. REPLACE:
    a new generation in the place of what is there, if anything is."""

    CREATE = "create"
    APPEND = "append"
    REPLACE = "replace"


class JobState(StrEnum):
    """RUNNING also while nobody runs it after a crash: it goes on where it was when it is begun
    again. The last three are final."""

    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def is_final(self) -> bool:
        return self in (JobState.DONE, JobState.FAILED, JobState.CANCELLED)


@dataclass(frozen=True, slots=True)
class Job:
    """A bulk job as the store knows it.

    ``total``: rows of its input, None until it was looked at; the first ``done`` of them are
    settled: ``accepted`` are staged, or published once the state is DONE, ``rejected`` are not;
    ``duplicates`` of either show an image again that was there before. Nothing of a job that ends
    otherwise is left. ``generation``: what it stages, or published. ``rate``: rows a second of the
    present run. ``request``: JSON of what was asked, without secrets. Times are seconds since the
    epoch.
    """

    id: str
    key: str
    mode: JobMode
    state: JobState
    message: str
    request: str
    total: int | None
    done: int
    accepted: int
    rejected: int
    duplicates: int
    generation: str | None
    rate: float
    created_at: float
    changed_at: float

    @property
    def left_s(self) -> float | None:
        """Seconds until all rows are settled, at the present rate."""
        if self.total is None or self.rate <= 0 or self.state.is_final:
            return None
        return (self.total - self.done) / self.rate


@dataclass(frozen=True, slots=True)
class JobRejection:
    """A row of a job's input that was not enrolled. ``source``: path or URL as the input has it."""

    position: int
    source: str
    label: str
    reason: str
