"""The picture in an infer reply: decode, draw, JPEG, off the event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from serve_app.drawing import draw
from serve_app.imaging import ImageLimits, decode, encode_jpeg
from serve_app.service import Recognition

DRAWINGS_AT_ONCE = 2
"""Each holds an image's pixels several times over: up to 120 MB each at the limit."""


class Visualiser:
    """Belongs to one event loop."""

    def __init__(self, limits: ImageLimits) -> None:
        self._limits = limits
        self._slots = asyncio.Semaphore(DRAWINGS_AT_ONCE)

    async def picture(self, image: bytes, recognitions: Sequence[Recognition]) -> bytes:
        """A JPEG: the encoded ``image`` with its faces and their best candidates.

        Raises InvalidImageError, TooLargeError.
        """
        await self._slots.acquire()
        work = asyncio.get_running_loop().run_in_executor(None, self._picture, image, recognitions)
        # A request that is cancelled doesn't end its thread: the slot is the thread's.
        work.add_done_callback(lambda _: self._slots.release())
        return await asyncio.shield(work)

    def _picture(self, image: bytes, recognitions: Sequence[Recognition]) -> bytes:
        faces = [
            (r.box, r.candidates[0].label, r.candidates[0].score)
            if r.candidates
            else (r.box, None, None)
            for r in recognitions
        ]
        drawn = draw(decode(image, self._limits), faces)
        return encode_jpeg(drawn)
