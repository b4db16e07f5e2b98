"""Galleries that are read before they are served: a job's, or the one that is gone back to.

Kept aside by generation until the key's generation becomes that one; then a search finds them in
memory.
"""

from __future__ import annotations

import logging
import threading
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace

from serve_app.index.loading import Loaded, Loader, breathe
from serve_app.priority import step_aside
from serve_app.types import GalleryInfo

logger = logging.getLogger(__name__)


class Preloads:
    """Thread-safe. Loads one gallery at a time, by ``loader``."""

    def __init__(self, loader: Loader) -> None:
        self._loader = loader
        self._loaded: dict[str, Loaded] = {}
        self._loads: dict[str, Future[None]] = {}
        self._lock = threading.RLock()  # a future that is done calls back at once
        self._thread = ThreadPoolExecutor(1, "preload", initializer=step_aside)

    def close(self) -> None:
        self._thread.shutdown(cancel_futures=True)

    def begin(self, info: GalleryInfo) -> None:
        """Read the gallery of ``info.generation``, which nobody writes to any more. Does nothing if
        it is there or under way; one that failed is begun again."""
        with self._lock:
            if not self.has(info.generation):
                self._loads[info.generation] = self._thread.submit(self._load, info)

    def has(self, generation: str) -> bool:
        """Whether it is there, or under way."""
        with self._lock:
            load = self._loads.get(generation)
            return generation in self._loaded or (load is not None and not load.done())

    def is_loaded(self, generation: str) -> bool:
        with self._lock:
            return generation in self._loaded

    def take(self, info: GalleryInfo) -> Loaded | Future[None] | None:
        """What was read of ``info.generation``, which is kept here no more; the future of its being
        read; or None."""
        with self._lock:
            load = self._loads.get(info.generation)
            if load is not None and not load.done():
                return load
            self._loads.pop(info.generation, None)
            loaded = self._loaded.pop(info.generation, None)
            if loaded is None:
                return None
            loaded.info = replace(loaded.info, key=info.key)
            behind = loaded.info.seq == info.seq and loaded.info.next_id != info.next_id
            return None if behind else loaded  # read while it was still being staged

    def held(self) -> set[str]:
        """Generations that are here, or under way."""
        with self._lock:
            return {*self._loaded, *self._loads}

    def drop(self, generation: str) -> None:
        """It is not wanted any more. What is being read is read: searches may wait for it."""
        with self._lock:
            self._loaded.pop(generation, None)
            self._loads.pop(generation, None)

    def _load(self, info: GalleryInfo) -> None:
        """Never raises: where it failed, whoever waits for it reads the gallery himself."""
        with self._lock:  # ``begin`` has it until the load is known
            if info.generation not in self._loads:
                return
        try:
            loaded = self._loader.load(info, breathe)
        except Exception as error:
            logger.warning("a gallery could not be read ahead: %s", type(error).__name__)
            return
        with self._lock:
            if info.generation in self._loads:  # it is still wanted
                self._loaded[info.generation] = loaded
