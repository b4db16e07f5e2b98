from __future__ import annotations

import asyncio

import pytest

from serve_app.errors import (
    DeadlineExceededError,
    FaceServeError,
    GalleryMismatchError,
    GalleryNotFoundError,
    InvalidImageError,
    OverloadedError,
    UnavailableError,
)
from serve_app.service import each_alone, in_flight


async def test_answers_keep_the_order_of_the_items() -> None:
    async def work(item: int) -> int:
        await asyncio.sleep(0.001 * (5 - item))
        return item * 10

    assert await in_flight(work, range(6), 3) == [0, 10, 20, 30, 40, 50]


async def test_no_more_than_the_bound_are_under_way_and_no_fewer() -> None:
    under_way: list[int] = [0]
    most = [0]

    async def work(_item: int) -> None:
        under_way[0] += 1
        most[0] = max(most[0], under_way[0])
        await asyncio.sleep(0.001)
        under_way[0] -= 1

    await in_flight(work, range(20), 4)
    assert most == [4]


async def test_no_items_are_no_work() -> None:
    async def work(_item: int) -> int:
        raise AssertionError

    assert await in_flight(work, [], 4) == []


async def test_the_first_error_is_raised_as_it_is_and_ends_the_rest() -> None:
    done = []

    async def work(item: int) -> None:
        if item == 0:
            raise KeyError(item)
        await asyncio.sleep(0.01)
        done.append(item)

    with pytest.raises(KeyError):
        await in_flight(work, range(10), 3)
    await asyncio.sleep(0.02)
    assert done == []


async def test_cancellation_reaches_the_work() -> None:
    ended = []

    async def work(item: int) -> None:
        try:
            await asyncio.sleep(60)
        finally:
            ended.append(item)

    task = asyncio.create_task(in_flight(work, range(5), 2))
    await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert sorted(ended) == [0, 1]


async def answers_of(*items: object) -> list[object]:
    """Items that are errors are raised, others are answers."""

    async def work(item: object) -> object:
        await asyncio.sleep(0)
        if isinstance(item, Exception):
            raise item
        return item

    return list(await each_alone(work, items, 2))


BAD, FULL, DOWN = InvalidImageError("bad"), OverloadedError("full"), UnavailableError("down")


@pytest.mark.parametrize("error", [BAD, FULL, DOWN, FaceServeError()])
async def test_an_error_is_the_answer_of_its_item(error: FaceServeError) -> None:
    assert await answers_of(1, error, 3) == [1, error, 3]


@pytest.mark.parametrize(
    "error", [GalleryNotFoundError(), GalleryMismatchError(), DeadlineExceededError(), KeyError()]
)
async def test_what_is_wrong_with_all_items_is_raised(error: Exception) -> None:
    with pytest.raises(type(error)):
        await answers_of(1, error, BAD)


async def test_what_passes_is_raised_if_none_got_through() -> None:
    for errors in ([FULL], [FULL, DOWN, FULL]):
        with pytest.raises(OverloadedError):
            await answers_of(*errors)
    assert await answers_of(FULL, BAD) == [FULL, BAD]
    assert await answers_of(BAD, BAD) == [BAD, BAD]
    assert await answers_of() == []
