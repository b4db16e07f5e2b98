"""What is not counted but looked at now and then: by a thread beside a replica, or a task beside
the API. A look that fails is a log line, never the end of looking."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
from collections.abc import AsyncIterator, Callable

logger = logging.getLogger(__name__)


class SamplerThread:
    """Calls ``look`` each ``interval_s`` seconds, which may block: it asks the store."""

    def __init__(self, look: Callable[[], None], interval_s: float) -> None:
        self._look = look
        self._interval_s = interval_s
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="sampler", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        while not self._stop.wait(self._interval_s):
            _guarded(self._look)


@contextlib.asynccontextmanager
async def sampling(look: Callable[[], None], interval_s: float) -> AsyncIterator[None]:
    """The same on the event loop, for what belongs to it; ``look`` takes microseconds."""

    async def run() -> None:
        while True:
            await asyncio.sleep(interval_s)
            _guarded(look)

    task = asyncio.get_running_loop().create_task(run())
    try:
        yield
    finally:
        task.cancel()


def _guarded(look: Callable[[], None]) -> None:
    try:
        look()
    except Exception as error:
        logger.warning("a look for the metrics failed: %s", type(error).__name__)
