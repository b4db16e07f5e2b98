"""Whether every stage, and the store behind them, would answer now.

Asked by load balancers all the time and by many at once: one look serves all that ask while it
lasts and for ``KEEP_S`` after it. Must not know what is asked: each check says by itself.
"""

from __future__ import annotations

import asyncio
import contextvars
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from serve_app.errors import FaceServeError, UnavailableError

KEEP_S = 1.0
TIMEOUT_S = 3.0
READY = "ready"


@dataclass(frozen=True, slots=True)
class Check:
    """``look`` raises what is wrong. ``advice``: what to do about it."""

    look: Callable[[], Awaitable[None]]
    advice: str


class Readiness:
    """``checks`` by the name of what they look at."""

    def __init__(
        self,
        checks: Mapping[str, Check],
        *,
        timeout_s: float = TIMEOUT_S,
        keep_s: float = KEEP_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._checks = checks
        self._timeout_s = timeout_s
        self._keep_s = keep_s
        self._clock = clock
        self._look: asyncio.Task[dict[str, str]] | None = None
        self._until = 0.0

    async def stages(self) -> dict[str, str]:
        """Every stage, and that it is ready. Raises UnavailableError that says of each stage that
        is not what to do."""
        if self._look is None or (self._look.done() and self._clock() >= self._until):
            # With no one's deadline or cancellation: those of who asks first are not the others'.
            self._look = asyncio.get_running_loop().create_task(
                self._looked(), context=contextvars.Context()
            )
        # Whoever goes away must not take the look from the others.
        found = await asyncio.shield(self._look)
        wrong = [
            f"{stage} is not ready: {self._checks[stage].advice}"
            for stage, state in found.items()
            if state != READY
        ]
        if wrong:
            raise UnavailableError("; ".join(wrong))
        return found

    async def _looked(self) -> dict[str, str]:
        states = await asyncio.gather(*map(self._state, self._checks.values()))
        self._until = self._clock() + self._keep_s
        return dict(zip(self._checks, states, strict=True))

    async def _state(self, check: Check) -> str:
        try:
            async with asyncio.timeout(self._timeout_s):
                await check.look()
        except (FaceServeError, TimeoutError):
            return "not ready"
        return READY
