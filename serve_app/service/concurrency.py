"""How much of one request is under way at once, so that one request can't fill the queues."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

Item = TypeVar("Item")
Answer = TypeVar("Answer")


async def in_flight(
    work: Callable[[Item], Awaitable[Answer]], items: Sequence[Item], at_once: int
) -> list[Answer]:
    """``work`` of each item, answers in the items' order, at most ``at_once`` of them under way.

    The first error cancels the rest and is raised as it is.
    """
    answers: dict[int, Answer] = {}
    waiting = iter(enumerate(items))

    async def worker() -> None:
        for position, item in waiting:
            answers[position] = await work(item)

    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(min(at_once, len(items))):
                group.create_task(worker())
    except ExceptionGroup as failures:
        raise failures.exceptions[0] from None
    return [answers[position] for position in range(len(items))]
