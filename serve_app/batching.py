"""The work-conserving batcher: send at once while a slot is free, gather while all are busy.

It serves twice: in the ingress, where one call to a replica carries several requests' work, and in
a replica, where one model run serves several calls. ``serve.batch`` seals batches by timer while
the model is busy and reaches 59 to 88 % of the model's limit, this one 91 to 95 % (DESIGN 3).

Knows nothing of Ray or models. Everything runs on one event loop; nothing here blocks it.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import time
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from serve_app.config import BatchSettings
from serve_app.errors import FaceServeError, OverloadedError, UnavailableError

Item = TypeVar("Item")
Answer = TypeVar("Answer")

Run = Callable[[list[Item]], Awaitable[Sequence[Answer | FaceServeError]]]


@dataclass(frozen=True, slots=True)
class BatchRecord:
    """What is told of each batch that ran: its items, their cost, the longest wait in seconds."""

    items: int
    cost: int
    queue_s: float


@dataclass(slots=True, eq=False)
class _Waiting(Generic[Item, Answer]):
    item: Item
    cost: int
    future: asyncio.Future[Answer]
    since: float


class Batcher(Generic[Item, Answer]):
    """Batches items by cost, first come first served.

    ``run`` takes a list of items and answers as many results in their order; a FaceServeError among
    them fails its item alone. If ``run`` raises UnavailableError (the replica died) the batch's
    items are tried again, each in a batch of its own, if ``retry`` says that is safe.
    """

    def __init__(
        self,
        run: Run[Item, Answer],
        settings: BatchSettings,
        *,
        cost: Callable[[Item], int] = lambda _: 1,
        retry: bool = False,
        observe: Callable[[BatchRecord], None] = lambda _: None,
    ) -> None:
        self._run = run
        self._settings = settings
        self._cost = cost
        self._retry = retry
        self._observe = observe
        self._queue: deque[_Waiting[Item, Answer]] = deque()
        self._queued_cost = 0
        self._busy = 0
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def queued_cost(self) -> int:
        return self._queued_cost

    @property
    def is_idle(self) -> bool:
        """Nothing waits and nothing is under way."""
        return not self._busy and not self._queue

    def configure(self, settings: BatchSettings) -> None:
        """Apply new settings to what is sent from now on."""
        self._settings = settings
        self._pump()

    async def submit(self, item: Item) -> Answer:
        """The answer to ``item``. A caller that goes away takes its waiting item out of the queue.

        Raises OverloadedError if the queue is full, else what ``run`` answered or raised.
        """
        cost = self._cost(item)
        if self._queue and self._queued_cost + cost > self._settings.max_queue_cost:
            raise OverloadedError("too many requests are waiting; try again shortly")
        future: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        waiting = _Waiting(item, cost, future, time.monotonic())
        self._queue.append(waiting)
        self._queued_cost += cost
        self._pump()
        try:
            return await future
        except asyncio.CancelledError:
            with contextlib.suppress(ValueError):  # not in the queue: on its way already
                self._queue.remove(waiting)
                self._queued_cost -= cost
            raise

    def _pump(self) -> None:
        while self._busy < self._settings.slots and (batch := self._next_batch()):
            self._busy += 1
            # A batch belongs to no single request: Ray cancels the calls made in a request's
            # context when its client goes, and with it the work of all others in the batch.
            task = asyncio.get_running_loop().create_task(
                self._send(batch), context=contextvars.Context()
            )
            self._tasks.add(task)  # the loop itself keeps only weak references
            task.add_done_callback(self._tasks.discard)

    def _next_batch(self) -> list[_Waiting[Item, Answer]]:
        batch: list[_Waiting[Item, Answer]] = []
        cost = 0
        while self._queue:
            first = self._queue[0]
            if batch and not first.future.done() and cost + first.cost > self._settings.max_cost:
                break
            self._queue.popleft()
            self._queued_cost -= first.cost
            if not first.future.done():  # done already: its caller went away
                batch.append(first)
                cost += first.cost
        return batch

    async def _send(self, batch: list[_Waiting[Item, Answer]]) -> None:
        now = time.monotonic()
        cost = sum(waiting.cost for waiting in batch)
        try:
            self._observe(BatchRecord(len(batch), cost, now - batch[0].since))
            try:
                await self._answer(batch)
            except UnavailableError as error:
                await self._answer_singly(batch, error)
        except BaseException:  # broken off: nobody may be left waiting
            _fail(batch, UnavailableError("the work was broken off; try again shortly"))
            raise
        finally:
            self._busy -= 1
            self._pump()

    async def _answer(self, batch: list[_Waiting[Item, Answer]]) -> None:
        try:
            answers = await self._run([waiting.item for waiting in batch])
            if len(answers) != len(batch):
                raise FaceServeError(f"{len(answers)} answers to {len(batch)} items")
        except UnavailableError:
            raise
        except Exception as error:
            _fail(batch, error)
            return
        for waiting, answer in zip(batch, answers, strict=True):
            if waiting.future.done():
                continue
            if isinstance(answer, FaceServeError):
                waiting.future.set_exception(answer)
            else:
                waiting.future.set_result(answer)

    async def _answer_singly(
        self, batch: list[_Waiting[Item, Answer]], error: UnavailableError
    ) -> None:
        if not self._retry:
            _fail(batch, error)
            return
        for waiting in batch:
            if waiting.future.done():
                continue
            try:
                await self._answer([waiting])
            except UnavailableError as again:
                _fail([waiting], again)


def _fail(batch: Sequence[_Waiting[Item, Answer]], error: Exception) -> None:
    for waiting in batch:
        if not waiting.future.done():
            waiting.future.set_exception(error)
