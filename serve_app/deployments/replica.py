"""What the stages' replicas have in common: worker threads behind batchers.

User code shares the replica's event loop (throughput mode), so nothing that computes may run on it;
and a network or a FAISS index is owned by one thread.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Generic, TypeAlias, TypeVar

from serve_app.batching import Batcher
from serve_app.config import BatchSettings, validate
from serve_app.errors import FaceServeError

logger = logging.getLogger(__name__)

LANES_AT_ONCE = 8

Item = TypeVar("Item")
Answer = TypeVar("Answer")

Settling: TypeAlias = "Answer | FaceServeError | Future[Answer | FaceServeError]"
"""An answer, or its future."""


class BatchedWorker(Generic[Item, Answer]):
    """Runs ``work`` on batches gathered from all calls to this replica, one at a time. An item's
    answer may be a future: the thread goes on, the item's caller waits for it."""

    def __init__(
        self,
        work: Callable[[Sequence[Item]], Sequence[Settling[Answer]]],
        *,
        cost: Callable[[Item], int],
    ) -> None:
        self._work = work
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="stage")
        self._batcher: Batcher[Item, Answer | Future[Answer | FaceServeError]] = Batcher(
            self._run, BatchSettings(), cost=cost
        )

    def configure(self, user_config: Mapping[str, Any]) -> None:
        """On the event loop only (Ray runs a ``reconfigure`` that is not async in a thread).

        Raises ConfigError for unknown keys.
        """
        self._batcher.configure(validate(BatchSettings, user_config, "user_config"))

    async def answer(self, items: Sequence[Item]) -> list[Answer | FaceServeError]:
        """One answer or error an item, in order."""
        return list(await asyncio.gather(*(answered(self._settled(item)) for item in items)))

    async def _settled(self, item: Item) -> Answer:
        answer = await self._batcher.submit(item)
        if isinstance(answer, Future):
            future: Future[Answer | FaceServeError] = answer
            settled = await asyncio.wrap_future(future)
            if isinstance(settled, FaceServeError):
                raise settled
            return settled
        return answer

    async def _run(self, items: list[Item]) -> Sequence[Settling[Answer]]:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._thread, self._work, items)


class LanedWorker(Generic[Item, Answer]):
    """Runs ``work`` on batches of items that have a lane in common. Lanes don't wait for each
    other, but for a thread; what comes while a lane's batch runs is gathered for its next."""

    def __init__(
        self,
        work: Callable[[Sequence[Item]], Sequence[Answer | FaceServeError]],
        settings: BatchSettings,
        *,
        lane: Callable[[Item], str],
        cost: Callable[[Item], int],
        threads: int = LANES_AT_ONCE,
    ) -> None:
        self._work = work
        self._settings = settings
        self._lane = lane
        self._cost = cost
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="lane")
        self._lanes: dict[str, Batcher[Item, Answer]] = {}

    async def submit(self, item: Item) -> Answer:
        """The answer to ``item``; raises its error, or OverloadedError if its lane is full."""
        name = self._lane(item)
        lane = self._lanes.get(name)
        if lane is None:
            lane = self._lanes[name] = Batcher(self._run, self._settings, cost=self._cost)
        try:
            return await lane.submit(item)
        finally:
            if lane.is_idle and self._lanes.get(name) is lane:
                del self._lanes[name]

    async def _run(self, items: list[Item]) -> Sequence[Answer | FaceServeError]:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, self._work, items)


async def answered(work: Awaitable[Answer]) -> Answer | FaceServeError:
    """The result of ``work``, or its error as a value: raised errors would cross the process
    boundary wrapped in a traceback. What nobody foresaw becomes a plain internal error."""
    try:
        return await work
    except FaceServeError as error:
        return error
    except Exception as error:
        logger.error("stage failed: %s", type(error).__name__)
        return FaceServeError()
