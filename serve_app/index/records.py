"""What is read from the store, as values. Knows neither FAISS nor how it was queried."""

from __future__ import annotations

import hashlib
import re
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import numpy as np

from serve_app import policy
from serve_app.errors import GalleryMismatchError, UnavailableError
from serve_app.types import Consistency, Embeddings, GalleryInfo, Metric, Shard, Vectors

DAMAGED = "the gallery store holds a damaged template: restore a backup"
OPENED = -1
"""In place of the check of a template that was sealed: opening it has shown that it is whole."""


_SEALED_NAME = re.compile(r"-k([0-9]{1,9})$")


@dataclass(frozen=True, slots=True)
class Moment:
    """One state of a gallery: which build of it, after how many mutations."""

    generation: str
    seq: int

    @classmethod
    def parse(cls, text: str) -> Moment:
        """Of ``GENERATION@SEQ``, as ``str`` has it."""
        generation, _, seq = text.partition("@")
        return cls(generation, int(seq))

    def __str__(self) -> str:
        return f"{self.generation}@{self.seq}"


@dataclass(frozen=True, slots=True)
class SearchRequest:
    """Probes (N, D), N >= 0, to search in one gallery.

    ``at``: answer for exactly this moment, or with ``Passed`` if it is over.
    """

    key: str
    probes: Embeddings
    top_k: int
    consistency: Consistency = Consistency.STRONG
    at: Moment | None = None

    @property
    def cost(self) -> int:
        return max(1, len(self.probes.vectors))


@dataclass(frozen=True, slots=True)
class Passed:
    """The moment that was asked for is over here; ask all shards again, for ``now``."""

    now: Moment


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


@dataclass(frozen=True, slots=True)
class SnapshotRow:
    """A snapshot that the store knows of: the state after ``seq``, ids below ``next_id``, ``size``
    templates of the shard."""

    name: str
    generation: str
    shard: Shard
    seq: int
    next_id: int
    size: int
    created_at: float

    @property
    def key_version(self) -> int | None:
        """Of the data key that seals it, None for a plain one. Its name says it, which only the
        database gives: a plain file in the place of a sealed one is found out."""
        found = _SEALED_NAME.search(self.name)
        return None if found is None else int(found[1])

    @property
    def context(self) -> bytes:
        """What its files are of, authenticated with them."""
        place = f"{self.shard.of}-{self.shard.number}"
        return f"snapshot/{self.generation}/{place}/{self.seq}".encode()


def snapshot_name(generation: str, shard: Shard, seq: int, key_version: int | None = None) -> str:
    """A new one."""
    end = "" if key_version is None else f"-k{key_version}"
    return f"{generation}/{shard.of}-{shard.number}/{seq:020d}-{uuid4().hex[:8]}{end}"


@dataclass(frozen=True, slots=True)
class Standing:
    """What is known of a gallery when its index's upkeep is decided.

    ``wanted_seq``: up to which a fresh index was asked for; ``removed_seq``: of the newest
    removal; ``removed_at`` (seconds since the epoch): of the oldest that a snapshot may hold.
    """

    info: GalleryInfo
    snapshot: SnapshotRow | None
    wanted_seq: int
    removed_seq: int
    removed_at: float


@dataclass(frozen=True, slots=True)
class Totals:
    """Of all galleries that are served. ``largest``: sizes of the largest, largest first."""

    galleries: int
    templates: int
    largest: tuple[int, ...]


def check_fits(info: GalleryInfo, embeddings: Embeddings) -> None:
    """Raises GalleryMismatchError unless ``embeddings`` may meet those of the gallery's model."""
    if not policy.fits(embeddings, info.model_id):
        raise GalleryMismatchError(
            f"gallery {info.key} holds embeddings of model {info.model_id}, this service runs "
            f"{embeddings.model_id}: serve with the gallery's model or build the gallery anew"
        )
    if info.dimension != embeddings.vectors.shape[1]:
        raise GalleryMismatchError(
            f"gallery {info.key} holds {info.dimension} dimensions, these embeddings have "
            f"{embeddings.vectors.shape[1]}"
        )


def check_of(number: int, label: str, embedding: bytes) -> int:
    """CRC-32 of a template as it is stored: a disk that changes bits is found out."""
    start = number & 0xFFFFFFFF
    return zlib.crc32(embedding, zlib.crc32(label.encode("utf-8", "surrogatepass"), start))


def label_digest(label: str) -> bytes:
    """What templates of a label are found by, 16 bytes: labels may be too long for an index."""
    return hashlib.blake2b(label.encode("utf-8", "surrogatepass"), digest_size=16).digest()


def template_rows(rows: Sequence[Any], dimension: int) -> TemplateRows:
    """Templates from rows (id, label, embedding, crc) of the table ``template``.

    Raises UnavailableError for a damaged row.
    """
    ids = [row[0] for row in rows]
    labels = [row[1] for row in rows]
    blobs = [row[2] for row in rows]
    for number, label, blob, crc in rows:
        if crc is not None and crc != OPENED and crc != check_of(number, label, blob):
            raise UnavailableError(DAMAGED)
    if any(len(blob) != 4 * dimension for blob in blobs):  # one short blob would shift the rest
        raise UnavailableError(DAMAGED)
    joined = np.frombuffer(b"".join(blobs), dtype="<f4")
    vectors = joined.reshape(len(rows), dimension).astype(np.float32, copy=False)
    return TemplateRows(ids, labels, vectors)


def gallery_info(row: Any, snapshot: str | None = None) -> GalleryInfo:
    """The facts in a row of the table ``gallery``."""
    return GalleryInfo(
        key=row.key,
        generation=row.generation,
        seq=row.seq,
        index_type=row.index_type,
        metric=Metric(row.metric),
        dimension=row.dimension,
        model_id=row.model_id,
        size=row.size,
        next_id=row.next_id,
        snapshot=snapshot,
    )
