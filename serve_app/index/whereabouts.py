"""Asking the store where galleries stand, before each batch of searches, also while it is down."""

from __future__ import annotations

import time
from collections.abc import Sequence

from serve_app.errors import FaceServeError, UnavailableError
from serve_app.index.store import GalleryStore
from serve_app.types import GalleryInfo, Shard

UNAVAILABLE = "the gallery store is unavailable; try again shortly"

DOWN_S = 1.0
"""For so long after a failure eventual searches don't wait for the store to fail again."""


class Whereabouts:
    """Of one shard's galleries."""

    def __init__(self, store: GalleryStore, shard: Shard) -> None:
        self._store = store
        self._shard = shard
        self._down_until = 0.0

    def asked(
        self, keys: Sequence[str], eventual: bool
    ) -> tuple[dict[str, GalleryInfo], FaceServeError | None]:
        """As ``of``, with the error that it raises."""
        try:
            return self.of(keys, eventual), None
        except FaceServeError as error:
            return {}, error

    def of(self, keys: Sequence[str], eventual: bool) -> dict[str, GalleryInfo]:
        """Those that exist. ``eventual``: whoever asks would do without the store.

        Raises FaceServeError.
        """
        if not keys:
            return {}
        just_down = time.monotonic() < self._down_until
        if eventual and just_down:
            raise UnavailableError(UNAVAILABLE)
        # Patience holds up those that would do without the store.
        patient = not eventual and not just_down
        try:
            standing = self._store.describe(keys, self._shard, patient=patient)
        except FaceServeError:
            self._down_until = time.monotonic() + DOWN_S
            raise
        self._down_until = 0.0
        return standing
