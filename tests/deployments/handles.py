"""A deployment handle in memory: calls go to replicas in turn, as coroutines of their methods."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Sequence
from typing import Any


class Handle:
    """``replicas``: objects with the methods that are called."""

    def __init__(self, *replicas: Any) -> None:
        self._replicas = replicas
        self._turns = itertools.cycle(replicas)

    def __getattr__(self, method: str) -> Any:
        return _Method(self._turns, method)

    def broadcast(self, method: str, *args: object) -> Any:
        return _Broadcast([getattr(replica, method)(*args) for replica in self._replicas])


class _Method:
    def __init__(self, turns: Any, method: str) -> None:
        self._turns, self._method = turns, method

    def remote(self, *args: object) -> Any:
        return getattr(next(self._turns), self._method)(*args)


class _Broadcast:
    def __init__(self, calls: Sequence[Awaitable[object]]) -> None:
        self._calls = calls

    async def results_async(self, *, return_exceptions: bool) -> list[object]:
        return await asyncio.gather(*self._calls, return_exceptions=return_exceptions)
