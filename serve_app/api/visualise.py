"""The picture in an infer reply: decode, draw, JPEG, off the event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from serve_app.batching import Batcher, Piece
from serve_app.config import BatchSettings
from serve_app.drawing import draw
from serve_app.imaging import ImageLimits, decode, encode_jpeg
from serve_app.priority import step_back
from serve_app.request_context import current_request
from serve_app.service import Recognition

DRAWINGS_AT_ONCE = 2
"""Each holds an image's pixels several times over: up to 120 MB each at the limit."""

Drawing = tuple[bytes, Sequence[Recognition]]


class Visualiser:
    """Belongs to one event loop. ``queue``: the drawings that wait for a thread."""

    def __init__(self, limits: ImageLimits) -> None:
        self._limits = limits
        self._threads = ThreadPoolExecutor(DRAWINGS_AT_ONCE, "draw", initializer=step_back)
        # A request that is cancelled doesn't end its thread: the slot is the thread's.
        self.queue: Batcher[Drawing, bytes] = Batcher(
            self._draw, BatchSettings(slots=DRAWINGS_AT_ONCE, max_cost=1)
        )

    async def picture(self, image: bytes, recognitions: Sequence[Recognition]) -> bytes:
        """A JPEG: the encoded ``image`` with its faces and their best candidates.

        Raises InvalidImageError, TooLargeError, OverloadedError.
        """
        return await self.queue.submit((image, recognitions), current_request())

    async def _draw(self, pieces: list[Piece[Drawing]]) -> list[bytes]:
        """One at a time: its queue's batches are of one."""
        (piece,) = pieces
        with piece.context.spans.measure("draw"):
            loop = asyncio.get_running_loop()
            return [await loop.run_in_executor(self._threads, self._picture, *piece.item)]

    def _picture(self, image: bytes, recognitions: Sequence[Recognition]) -> bytes:
        faces = [
            (r.box, r.candidates[0].label, r.candidates[0].score)
            if r.candidates
            else (r.box, None, None)
            for r in recognitions
        ]
        drawn = draw(decode(image, self._limits), faces)
        return encode_jpeg(drawn)
