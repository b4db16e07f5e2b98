"""Telling replicas what nobody waits for any more.

A batch that nobody waits for at all is cancelled with its call. Of one that somebody still waits
for, single items are gone: which replica has them only Ray knows, so all of the stage are told.
That costs a call to each, so it is done at most every ``PAUSE_S``, and not for calls that are back
by then; it only saves work, so a failure is none.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from functools import partial

from serve_app.batching import Piece
from serve_app.deployments.calls import CallId

logger = logging.getLogger(__name__)

PAUSE_S = 0.02

Gone = tuple[CallId, int]
"""An item: its call and its position in that."""


class Forgetting:
    """``tell`` sends a list of gone items to all replicas of a stage."""

    def __init__(self, tell: Callable[[Sequence[Gone]], Awaitable[object]]) -> None:
        self._tell = tell
        self._under_way: set[CallId] = set()
        self._gone: list[Gone] = []
        self._telling: asyncio.Task[None] | None = None

    def watch(self, call: CallId, pieces: Sequence[Piece[object]]) -> None:
        """``pieces`` are being sent in ``call``, until ``back``."""
        self._under_way.add(call)
        for position, piece in enumerate(pieces):
            piece.future.add_done_callback(partial(self._settled, (call, position)))

    def back(self, call: CallId) -> None:
        """It was answered, or will not be."""
        self._under_way.discard(call)

    def _settled(self, gone: Gone, future: asyncio.Future[object]) -> None:
        if not future.cancelled() or gone[0] not in self._under_way:
            return
        self._gone.append(gone)
        if self._telling is None:
            self._telling = asyncio.get_running_loop().create_task(self._tell_soon())

    async def _tell_soon(self) -> None:
        try:
            await asyncio.sleep(PAUSE_S)
            gone = [one for one in self._gone if one[0] in self._under_way]
            self._gone.clear()
            if gone:
                await self._tell(gone)
        except Exception as error:
            logger.warning("a stage was not told what to drop: %s", type(error).__name__)
        finally:
            self._telling = None
