"""Proof of erasure: templates with marks go into a gallery and out of it, then files are searched.

The marks are random: no real person's label or embedding is looked for, or shown.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from serve_app.errors import FaceServeError
from serve_app.index.erasure.scanning import Marks, Report, scan
from serve_app.index.mutations import Optimize, RemoveLabel
from serve_app.index.records import SnapshotRow
from serve_app.index.store import GalleryStore
from serve_app.types import Embeddings, GalleryInfo, Shard

PREFIX = "erase-check-"
TEMPLATES = 3
POLL_S = 0.5


@dataclass(frozen=True, slots=True)
class Outcome:
    """``snapshots``: whether the gallery has any; ``built``: the newest held the marks;
    ``rewritten``: none is left from before their removal."""

    report: Report
    snapshots: bool
    built: bool
    rewritten: bool


class EraseCheck:
    """A check of the gallery ``key`` of ``store``. ``pause`` waits so many seconds."""

    def __init__(
        self, store: GalleryStore, key: str, *, pause: Callable[[float], None] = time.sleep
    ) -> None:
        self._store = store
        self._key = key
        self._pause = pause

    def run(self, paths: Sequence[Path], wait_s: float) -> Outcome:
        """Plant, remove, wait up to ``wait_s`` seconds each for snapshots to be built with the
        marks, and without them; search ``paths``.

        Raises GalleryNotFoundError, UnavailableError.
        """
        info = self._store.entry(self._key).info
        marks = _new_marks(info.dimension)
        snapshots = bool(self._newest(info.generation))
        built = False
        with self._planted(info, marks):
            planted = self._store.entry(self._key).info
            if snapshots:
                # Without one that holds the marks, a clean snapshot would prove nothing.
                self._store.do(Optimize(self._key))
                built = self._until(lambda: self._reached(planted), wait_s)
        deadline = time.monotonic() + wait_s
        rewritten = True
        if snapshots:
            self._store.do(Optimize(self._key))  # at once, not only within the configured time
            rewritten = self._until(lambda: not self._unclean(info.generation), wait_s)
        report = scan(paths, marks)
        # Files of a snapshot, or a log with a reader in its way, may go a moment later.
        while report.found and time.monotonic() < deadline:
            self._pause(POLL_S)
            if not scan(report.found, marks).found:
                report = scan(paths, marks)
        return Outcome(report, snapshots, built, rewritten)

    @contextmanager
    def _planted(self, info: GalleryInfo, marks: Marks) -> Iterator[None]:
        try:
            embeddings = Embeddings(info.model_id, marks.vectors)
            self._store.add(self._key, marks.labels, embeddings, with_labels=False)
            yield
        finally:
            # By label, also where the answer of the addition was lost: in a gallery that was built
            # anew meanwhile, the ids are somebody else's.
            for answer in self._store.apply([RemoveLabel(self._key, m) for m in marks.labels]):
                if isinstance(answer, FaceServeError):
                    raise answer

    def _until(self, reached: Callable[[], bool], wait_s: float) -> bool:
        deadline = time.monotonic() + wait_s
        while not reached():
            if time.monotonic() >= deadline:
                return False
            self._pause(POLL_S)
        return True

    def _reached(self, info: GalleryInfo) -> bool:
        return all(seq >= info.seq for seq in self._newest(info.generation).values())

    def _unclean(self, generation: str) -> bool:
        standings = self._store.standings(Shard(), 0)
        removed = [each.removed_seq for each in standings if each.info.generation == generation]
        return any(each.seq < max(removed, default=0) for each in self._snapshots(generation))

    def _newest(self, generation: str) -> dict[Shard, int]:
        """Seq of the newest snapshot of each shard."""
        newest: dict[Shard, int] = {}
        for each in self._snapshots(generation):
            newest[each.shard] = max(each.seq, newest.get(each.shard, 0))
        return newest

    def _snapshots(self, generation: str) -> list[SnapshotRow]:
        return [each for each in self._store.every_snapshot() if each.generation == generation]


def _new_marks(dimension: int) -> Marks:
    labels = [PREFIX + secrets.token_hex(16) for _ in range(TEMPLATES)]
    chance = np.random.default_rng(secrets.randbits(128))
    vectors = chance.normal(size=(TEMPLATES, dimension))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return Marks(labels, vectors.astype(np.float32))
