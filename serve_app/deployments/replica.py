"""What every stage's replica has in common: one worker thread behind a batcher.

User code shares the replica's event loop (throughput mode), so nothing that computes may run on it;
and a network or a FAISS index is owned by one thread.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Generic, TypeVar

from serve_app.batching import Batcher
from serve_app.config import BatchSettings, validate
from serve_app.errors import FaceServeError

logger = logging.getLogger(__name__)

Item = TypeVar("Item")
Answer = TypeVar("Answer")


class BatchedWorker(Generic[Item, Answer]):
    """Runs ``work`` on batches gathered from all calls to this replica."""

    def __init__(
        self,
        work: Callable[[Sequence[Item]], Sequence[Answer | FaceServeError]],
        *,
        cost: Callable[[Item], int],
    ) -> None:
        self._work = work
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="stage")
        self._batcher: Batcher[Item, Answer] = Batcher(self._run, BatchSettings(), cost=cost)

    def configure(self, user_config: Mapping[str, Any]) -> None:
        """On the event loop only (Ray runs a ``reconfigure`` that is not async in a thread).

        Raises ConfigError for unknown keys.
        """
        self._batcher.configure(validate(BatchSettings, user_config, "user_config"))

    async def answer(self, items: Sequence[Item]) -> list[Answer | FaceServeError]:
        """One answer or error an item, in order."""
        return list(await asyncio.gather(*(answered(self._batcher.submit(i)) for i in items)))

    async def _run(self, items: list[Item]) -> Sequence[Answer | FaceServeError]:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._thread, self._work, items)


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
