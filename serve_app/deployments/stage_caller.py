"""Calls to one deployment over its Ray handle: remote errors become ours.

A remote error's text holds a traceback, a pid and an address: none of it leaves this module.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import time
import uuid
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from ray.exceptions import RayError
from ray.serve.exceptions import BackPressureError, RayServeException
from ray.serve.handle import DeploymentHandle

from serve_app.batching import Piece
from serve_app.deployments.calls import CallId, StageCall, StageReply
from serve_app.deployments.forgetting import Forgetting, Gone
from serve_app.errors import FaceServeError, OverloadedError, UnavailableError

logger = logging.getLogger(__name__)

RETRY = "try again shortly"


class StageCaller:
    """Calls one deployment. ``timeout_s`` bounds a call, so that a hung replica frees its slot."""

    def __init__(self, stage: str, handle: DeploymentHandle, timeout_s: float) -> None:
        self._stage = stage
        self._handle = handle
        self._timeout_s = timeout_s
        self._name = uuid.uuid4().hex  # of this caller, among all that call the stage
        self._numbers = itertools.count()
        self._forgetting = Forgetting(self._forget)

    async def call(self, method: str, *args: object, advice: str = RETRY) -> Any:
        """Raises OverloadedError, UnavailableError (the replica died, hung or is not there yet);
        ``advice`` tells the caller what to do then."""
        try:
            async with asyncio.timeout(self._timeout_s):
                return await getattr(self._handle, method).remote(*args)
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                raise
            # Not this call was cancelled but Ray's reply to it.
            raise UnavailableError(f"{self._stage} is unavailable; {advice}") from None
        except BackPressureError:
            raise OverloadedError(f"{self._stage} is over capacity; try again shortly") from None
        except (RayError, RayServeException, TimeoutError, ConnectionError) as error:
            logger.warning("%s unavailable: %s", self._stage, type(error).__name__)
            raise UnavailableError(f"{self._stage} is unavailable; {advice}") from None
        except Exception as error:
            if type(error).__module__.startswith("grpc"):
                logger.warning("%s unavailable: %s", self._stage, type(error).__name__)
                raise UnavailableError(f"{self._stage} is unavailable; {advice}") from None
            logger.error("call to %s failed: %s", self._stage, type(error).__name__)
            raise FaceServeError from None

    def sender(self, method: str) -> Callable[[list[Piece[Any]]], Awaitable[Sequence[Any]]]:
        """What a batcher runs: a batch as one call to ``method``. What is waited for no more is
        dropped at the replica too; where time went there is added to each piece's spans."""

        async def send(pieces: list[Piece[Any]]) -> Sequence[Any]:
            call, now = self._next_call(), time.monotonic()
            spans = [piece.context.spans.trace.begin(f"{self._stage} call") for piece in pieces]
            self._forgetting.watch(call, pieces)
            try:
                reply = await self.ask(
                    method,
                    [piece.item for piece in pieces],
                    [piece.context.remaining_s(now) for piece in pieces],
                    call=call,
                    traceparents=[span.traceparent for span in spans],
                )
            finally:
                self._forgetting.back(call)
                for span in spans:
                    span.end()
            for piece, seconds in zip(pieces, reply.seconds, strict=True):
                piece.context.spans.add_all(seconds)
            return reply.answers

        return send

    async def ask(
        self,
        method: str,
        items: Sequence[Any],
        remaining_s: Sequence[float],
        *,
        call: CallId | None = None,
        traceparents: Sequence[str] = (),
    ) -> StageReply[Any]:
        """A batched call, of the name ``call`` or of a fresh one. Raises as ``call``."""
        traced = traceparents if any(traceparents) else ()
        reply: StageReply[Any] = await self.call(
            method, StageCall(call or self._next_call(), items, remaining_s, traced)
        )
        return reply

    def _next_call(self) -> CallId:
        return self._name, next(self._numbers)

    async def _forget(self, gone: Sequence[Gone]) -> None:
        await self._handle.broadcast("forget", gone).results_async(return_exceptions=True)
