"""How much of one request is under way at once, so that one request can't fill the queues, and what
becomes of the rest if one item fails."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from serve_app.errors import (
    DeadlineExceededError,
    FaceServeError,
    GalleryMismatchError,
    GalleryNotFoundError,
    OverloadedError,
    UnavailableError,
)

IMAGES_IN_FLIGHT = 8
"""Images of one request that are in the detector at once: a long list can't fill its queue."""

OF_ALL = (GalleryNotFoundError, GalleryMismatchError, DeadlineExceededError)
"""What is wrong with every item of a request alike: it ends the request."""

PASSING = (OverloadedError, UnavailableError)
"""What is nobody's fault and over soon: other items may get through all the same."""

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


async def each_alone(
    work: Callable[[Item], Awaitable[Answer]], items: Sequence[Item], at_once: int
) -> list[Answer | FaceServeError]:
    """As ``in_flight``, but the error of an item is its answer.

    Raises what is wrong with all of them; and if none got through what passes, so that the caller
    waits and tries again.
    """

    async def alone(item: Item) -> Answer | FaceServeError:
        try:
            return await work(item)
        except OF_ALL:
            raise
        except FaceServeError as error:
            return error

    answers = await in_flight(alone, items, at_once)
    passing = [answer for answer in answers if isinstance(answer, PASSING)]
    if passing and len(passing) == len(answers):
        raise passing[0]
    return answers
