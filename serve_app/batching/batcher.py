"""The work-conserving batcher: send at once while a slot is free, gather while all are busy.

It serves twice: in the ingress, where one call to a replica carries several requests' work, and in
a replica, where one model run serves several calls. ``serve.batch`` seals batches by timer while
the model is busy and reaches 59 to 88 % of the model's limit, this one 91 to 95 % (DESIGN 3).

Knows nothing of Ray or models. Everything runs on one event loop; nothing here blocks it.
"""

from __future__ import annotations

import asyncio
import contextvars
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import count
from typing import Generic, Literal, TypeVar

from serve_app.batching.admission import Forecast
from serve_app.batching.drain import Drain
from serve_app.batching.fair_queue import FairQueue, Item, Piece, handicap_s
from serve_app.config import BatchSettings
from serve_app.errors import (
    DeadlineExceededError,
    FaceServeError,
    OverloadedError,
    UnavailableError,
)
from serve_app.request_context import RequestContext

logger = logging.getLogger(__name__)

Answer = TypeVar("Answer")

Run = Callable[[list[Piece[Item]]], Awaitable[Sequence[Answer | FaceServeError]]]


@dataclass(frozen=True, slots=True)
class BatchRecord:
    """What is told of each batch that is sent: its cost, and how long each item waited, seconds."""

    cost: int
    waits_s: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Dropped:
    """What is told of each item that was not sent: the queue was full, its caller went away, or its
    deadline passed."""

    reason: Literal["full", "gone", "expired"]


BatchEvent = BatchRecord | Dropped


class Batcher(Generic[Item, Answer]):
    """Batches items by cost, in the order of ``FairQueue``.

    ``run`` takes the pieces of a batch and answers as many results in their order; a FaceServeError
    among them fails its item alone. If ``run`` raises UnavailableError (the replica died) the
    batch's items are tried again, each in a batch of its own, if ``retry`` says that is safe.
    ``together``: what is submitted in one turn of the loop is dealt evenly to the free slots, as
    the items of one call should be; else the first of them goes at once. ``abandon``: ``run`` is
    cancelled when nobody waits for anything in the batch any more; it must end at once then.
    """

    def __init__(
        self,
        run: Run[Item, Answer],
        settings: BatchSettings,
        *,
        cost: Callable[[Item], int] = lambda _: 1,
        retry: bool = False,
        together: bool = False,
        abandon: bool = False,
        observe: Callable[[BatchEvent], None] = lambda _: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._run = run
        self._settings = settings
        self._cost = cost
        self._retry = retry
        self._together = together
        self._abandon = abandon
        self._observe = observe
        self._clock = clock
        self._queue: FairQueue[Item] = FairQueue()
        self._numbers = count()
        self._drain = Drain()
        self._busy = 0
        self._pump_is_due = False
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def queued_cost(self) -> int:
        return self._queue.cost

    @property
    def max_cost(self) -> int:
        """Of one batch, as the settings have it now."""
        return self._settings.max_cost

    @property
    def is_idle(self) -> bool:
        """Nothing waits and nothing is under way."""
        return not self._busy and not self._queue

    def forecast(self, cost: int | None = None) -> Forecast:
        """Of an item of ``cost`` (left out: of the usual one) that would be submitted now."""
        now, slots = self._clock(), self._settings.slots
        cost = self._drain.usual_cost if cost is None else cost
        ahead = self._queue.cost_before(self._place(cost, now))
        return Forecast(
            wait_s=self._drain.wait_s(ahead, slots, now),
            service_s=cost * self._drain.pace_s,
            is_backlog=ahead > slots * self._settings.max_cost,
        )

    def configure(self, settings: BatchSettings) -> None:
        """Apply new settings to what is sent from now on."""
        self._settings = settings
        self._pump()

    async def submit(self, item: Item, context: RequestContext | None = None) -> Answer:
        """The answer to ``item``. A caller that goes away takes its waiting item out of the queue.

        Raises OverloadedError if the queue is full, DeadlineExceededError for an item that was not
        sent before its deadline, else what ``run`` answered or raised.
        """
        piece = self._piece(item, context or RequestContext())
        if self._queue and self._queue.cost + piece.cost > self._settings.max_queue_cost:
            self._tell(Dropped("full"))
            raise OverloadedError.after("too many requests are waiting", self.forecast().wait_s)
        self._queue.add(piece)
        if self._together:
            self._pump_soon()
        else:
            self._pump()
        try:
            answer: Answer = await piece.future
            return answer
        except asyncio.CancelledError:
            if self._queue.discard(piece):
                self._tell(Dropped("gone"))
            raise

    def _piece(self, item: Item, context: RequestContext) -> Piece[Item]:
        cost, now = self._cost(item), self._clock()
        future = asyncio.get_running_loop().create_future()
        place = (self._place(cost, now), next(self._numbers))
        return Piece(item, cost, context, future, now, place)

    def _place(self, cost: int, now: float) -> float:
        return now + handicap_s(cost * self._drain.pace_s, self._settings.overtake_s)

    def _pump_soon(self) -> None:
        """Once all that is submitted in this turn of the loop is there."""
        if not self._pump_is_due:
            self._pump_is_due = True
            asyncio.get_running_loop().call_soon(self._pump)

    def _pump(self) -> None:
        self._pump_is_due = False
        while self._busy < self._settings.slots and (batch := self._next_batch()):
            self._busy += 1
            cost = sum(piece.cost for piece in batch)
            self._drain.begun(id(batch), cost, len(batch), self._clock())
            # A batch belongs to no single request: Ray cancels the calls made in a request's
            # context when its client goes, and with it the work of all others in the batch.
            task = asyncio.get_running_loop().create_task(
                self._send(batch, cost), context=contextvars.Context()
            )
            self._tasks.add(task)  # the loop itself keeps only weak references
            task.add_done_callback(self._tasks.discard)
            if self._abandon:
                for piece in batch:
                    piece.future.add_done_callback(partial(_cancel_if_unwanted, task, batch))

    def _next_batch(self) -> list[Piece[Item]]:
        batch: list[Piece[Item]] = []
        cost, now = 0, self._clock()
        share = -(-self._queue.cost // (self._settings.slots - self._busy))
        most = min(self._settings.max_cost, share)
        while (first := self._queue.first) is not None:
            wanted = first.is_wanted(now)
            if batch and wanted and cost + first.cost > most:
                break
            self._queue.discard(first)
            if wanted:
                batch.append(first)
                cost += first.cost
            else:
                self._expire(first)
        return batch

    def _expire(self, piece: Piece[Item]) -> None:
        if not piece.future.done():  # done already: its caller just went away
            piece.future.set_exception(DeadlineExceededError("not begun in time"))
            self._tell(Dropped("expired"))

    async def _send(self, batch: list[Piece[Item]], cost: int) -> None:
        now = self._clock()
        done = 0
        try:
            waits_s = tuple(now - piece.since for piece in batch)
            for piece, wait_s in zip(batch, waits_s, strict=True):
                piece.context.spans.add("queue", wait_s)
            self._tell(BatchRecord(cost, waits_s))
            try:
                done = await self._answer(batch)
            except UnavailableError as error:
                await self._answer_singly(batch, error)
        except BaseException:  # broken off: nobody may be left waiting
            _fail(batch, UnavailableError("the work was broken off; try again shortly"))
            raise
        finally:
            self._drain.ended(id(batch), self._clock(), done=done)
            self._busy -= 1
            self._pump()

    async def _answer(self, batch: list[Piece[Item]]) -> int:
        """The cost of what ``run`` did. Raises UnavailableError."""
        try:
            answers = await self._run(batch)
            if len(answers) != len(batch):
                raise FaceServeError(f"{len(answers)} answers to {len(batch)} items")
        except UnavailableError:
            raise
        except Exception as error:
            _fail(batch, error)
            return 0
        for piece, answer in zip(batch, answers, strict=True):
            if piece.future.done():
                continue
            if isinstance(answer, FaceServeError):
                piece.future.set_exception(answer)
            else:
                piece.future.set_result(answer)
        return sum(
            piece.cost
            for piece, answer in zip(batch, answers, strict=True)
            if not isinstance(answer, FaceServeError)
        )

    async def _answer_singly(self, batch: list[Piece[Item]], error: UnavailableError) -> None:
        if not self._retry:
            _fail(batch, error)
            return
        for piece in batch:
            if not piece.is_wanted(self._clock()):
                self._expire(piece)
                continue
            try:
                await self._answer([piece])
            except UnavailableError as again:
                _fail([piece], again)

    def _tell(self, event: BatchEvent) -> None:
        try:
            self._observe(event)
        except Exception as error:  # a request must not fail for its metric
            logger.error("an observer failed: %s", type(error).__name__)


def _fail(batch: Sequence[Piece[Item]], error: Exception) -> None:
    for piece in batch:
        if not piece.future.done():
            piece.future.set_exception(error)


def _cancel_if_unwanted(
    task: asyncio.Task[None], batch: Sequence[Piece[Item]], future: asyncio.Future[Answer]
) -> None:
    if future.cancelled() and all(piece.future.done() for piece in batch):
        task.cancel()
