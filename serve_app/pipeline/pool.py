"""Loaded networks for the threads of one process: each thread has a set of its own."""

from __future__ import annotations

import contextlib
import threading
from collections import deque
from collections.abc import Callable, Iterator

from serve_app.errors import UnavailableError
from serve_app.pipeline.stages import FacePipeline


class StagePool:
    """Lends out sets of networks; one more is loaded when all are in use, and kept.

    The first is loaded at once: what is wrong with a model shows when a pipeline is created.
    """

    def __init__(self, open_stages: Callable[[], FacePipeline]) -> None:
        self._open = open_stages
        self._opening = threading.Lock()
        # Its append and pop are atomic, without a lock that a garbage collection could meet.
        self._free: deque[FacePipeline] = deque()
        first = open_stages()
        self.model_id = first.extractor.model_id
        self.compatible_with = first.extractor.compatible_with
        self.dimension = first.extractor.dimension
        self._free.append(first)

    @contextlib.contextmanager
    def borrow(self) -> Iterator[FacePipeline]:
        try:
            stages = self._free.pop()
        except IndexError:
            with self._opening:  # loading takes all cores by itself
                stages = self._open()
            if stages.extractor.model_id != self.model_id:
                raise UnavailableError(
                    f"the pipeline now loads {stages.extractor.model_id}, before it was "
                    f"{self.model_id}: create it anew"
                ) from None
        try:
            yield stages
        finally:
            self._free.append(stages)
