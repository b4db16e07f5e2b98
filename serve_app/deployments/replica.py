"""What the stages' replicas have in common: worker threads behind batchers.

User code shares the replica's event loop (throughput mode), so nothing that computes may run on it;
and a network or a FAISS index is owned by one thread.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Generic, TypeAlias, TypeVar

from serve_app.batching import Batcher, BatchEvent, Dropped, Piece
from serve_app.config import BatchSettings, validate
from serve_app.deployments.calls import CallId, StageCall, StageReply
from serve_app.errors import DeadlineExceededError, FaceServeError
from serve_app.priority import step_back
from serve_app.request_context import RequestContext, Spans
from serve_app.tracing import NoTracing, Tracing

logger = logging.getLogger(__name__)

LANES_AT_ONCE = 8


Item = TypeVar("Item")
Answer = TypeVar("Answer")
Answers = TypeVar("Answers")

Settling: TypeAlias = "Answer | FaceServeError | Future[Answer | FaceServeError]"
"""An answer, or its future."""

Work: TypeAlias = "Callable[[Sequence[Item], Sequence[Spans]], Sequence[Settling[Answer]]]"
"""A stage: items to answers, each item's time into its spans."""


class NotWantedError(DeadlineExceededError):
    """The answer of an item that was dropped: nobody reads it."""

    def __init__(self, message: str = "nobody waits for it any more") -> None:
        super().__init__(message)


class BatchedWorker(Generic[Item, Answer]):
    """Runs ``work`` on batches gathered from all calls to this replica, one at a time. An item's
    answer may be a future: the thread goes on, the item's caller waits for it.

    Items whose deadline has passed, or that nobody waits for any more, are dropped before they are
    begun. ``singly``: for a stage that takes its items one after the other anyway; they are then
    dropped until their own turn, not only until their batch's.
    """

    def __init__(
        self,
        work: Work[Item, Answer],
        *,
        cost: Callable[[Item], int],
        singly: bool = False,
        observe: Callable[[BatchEvent], None] = lambda _: None,
        tracing: Tracing | None = None,
    ) -> None:
        self._work = work
        self._singly = singly
        self._observe = observe
        self._tracing = tracing or NoTracing()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="stage", initializer=step_back)
        self._batcher: Batcher[Item, Answer | Future[Answer | FaceServeError]] = Batcher(
            self._run, BatchSettings(), cost=cost, together=True, observe=observe
        )
        self._calls: dict[CallId, list[asyncio.Task[Answer | FaceServeError]]] = {}

    def configure(self, user_config: Mapping[str, Any]) -> None:
        """On the event loop only (Ray runs a ``reconfigure`` that is not async in a thread).

        Raises ConfigError for unknown keys.
        """
        self._batcher.configure(validate(BatchSettings, user_config, "user_config"))

    async def answer(self, call: StageCall[Item]) -> StageReply[Answer]:
        """One answer or error an item, in order."""
        contexts = [
            RequestContext.within(seconds, admitted=True, trace=self._tracing.within(traceparent))
            for seconds, traceparent in zip(
                call.remaining_s, call.traceparents or [""] * len(call.items), strict=True
            )
        ]
        tasks = [
            asyncio.create_task(answered(self._settled(item, context)))
            for item, context in zip(call.items, contexts, strict=True)
        ]
        self._calls[call.id] = tasks
        try:
            results: list[Any] = await asyncio.gather(*tasks, return_exceptions=True)
        finally:
            del self._calls[call.id]
        answers = [
            NotWantedError() if isinstance(r, asyncio.CancelledError) else r for r in results
        ]
        return StageReply(answers, [context.spans.seconds for context in contexts])

    def forget(self, gone: Sequence[tuple[CallId, int]]) -> None:
        """Drop items of calls, by their positions, that are here and not begun; the rest of their
        calls goes on."""
        for call, position in gone:
            if call in self._calls:
                self._calls[call][position].cancel()

    async def _settled(self, item: Item, context: RequestContext) -> Answer:
        answer = await self._batcher.submit(item, context)
        if isinstance(answer, Future):
            future: Future[Answer | FaceServeError] = answer
            with context.spans.measure("queue"):
                settled = await asyncio.wrap_future(future)
            if isinstance(settled, FaceServeError):
                raise settled
            return settled
        return answer

    async def _run(self, pieces: list[Piece[Item]]) -> Sequence[Settling[Answer]]:
        loop = asyncio.get_running_loop()
        work = self._one_by_one if self._singly else self._at_once
        batch = self._tracing.batch("batch", [piece.context.spans.trace for piece in pieces])
        try:
            answers = await loop.run_in_executor(self._thread, work, pieces)
        finally:
            batch.note({"face_serve.batch_items": len(pieces)})
            batch.end()
        for piece, answer in zip(pieces, answers, strict=False):
            if isinstance(answer, NotWantedError):
                self._observe(Dropped("gone" if piece.future.cancelled() else "expired"))
        return answers

    def _at_once(self, pieces: Sequence[Piece[Item]]) -> Sequence[Settling[Answer]]:
        return self._work([p.item for p in pieces], [p.context.spans for p in pieces])

    def _one_by_one(self, pieces: Sequence[Piece[Item]]) -> Sequence[Settling[Answer]]:
        begun = time.monotonic()
        answers: list[Settling[Answer]] = []
        for piece in pieces:
            now = time.monotonic()
            piece.context.spans.add("queue", now - begun)
            answers += self._at_once([piece]) if piece.is_wanted(now) else [NotWantedError()]
        return answers


def timed(
    stage: str, work: Callable[[Sequence[Item]], Answers]
) -> Callable[[Sequence[Item], Sequence[Spans]], Answers]:
    """``work`` on whole batches, whose time is that of each item in it: so long it took for it."""

    def run(items: Sequence[Item], spans: Sequence[Spans]) -> Answers:
        started = time.perf_counter()
        try:
            return work(items)
        finally:
            for one in spans:
                one.add(stage, time.perf_counter() - started)

    return run


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

    async def _run(self, pieces: list[Piece[Item]]) -> Sequence[Answer | FaceServeError]:
        loop = asyncio.get_running_loop()
        items = [piece.item for piece in pieces]
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


async def run_in(
    threads: ThreadPoolExecutor, work: Callable[[], Answer]
) -> Answer | FaceServeError:
    """``work`` in one of ``threads``, as ``answered`` has it."""
    return await answered(asyncio.get_running_loop().run_in_executor(threads, work))
