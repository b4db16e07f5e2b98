from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from serve_app.batching import Piece
from serve_app.deployments.forgetting import PAUSE_S, Forgetting, Gone
from serve_app.request_context import RequestContext

FIRST, SECOND = ("ingress", 1), ("ingress", 2)


class Replicas:
    """Are told what is gone. ``failure`` is raised by every call."""

    def __init__(self) -> None:
        self.told: list[list[Gone]] = []
        self.failure: Exception | None = None

    async def tell(self, gone: Sequence[Gone]) -> None:
        self.told.append(list(gone))
        if self.failure is not None:
            raise self.failure


def pieces(count: int) -> list[Piece[object]]:
    loop = asyncio.get_running_loop()
    return [
        Piece(number, 1, RequestContext(), loop.create_future(), 0.0, (0.0, number))
        for number in range(count)
    ]


async def pause() -> None:
    await asyncio.sleep(3 * PAUSE_S)


async def test_what_went_away_is_told_together() -> None:
    replicas = Replicas()
    forgetting = Forgetting(replicas.tell)
    first, second = pieces(3), pieces(2)
    forgetting.watch(FIRST, first)
    forgetting.watch(SECOND, second)
    first[2].future.cancel()
    second[0].future.cancel()
    await pause()
    assert replicas.told == [[(FIRST, 2), (SECOND, 0)]]
    first[0].future.cancel()
    await pause()
    assert replicas.told[1:] == [[(FIRST, 0)]]


async def test_answers_and_errors_are_nothing_to_tell() -> None:
    replicas = Replicas()
    forgetting = Forgetting(replicas.tell)
    sent = pieces(2)
    forgetting.watch(FIRST, sent)
    sent[0].future.set_result(1)
    sent[1].future.set_exception(ValueError())
    await pause()
    assert replicas.told == []
    assert sent[1].future.exception() is not None


async def test_a_call_that_is_back_is_not_told_of() -> None:
    replicas = Replicas()
    forgetting = Forgetting(replicas.tell)
    early, late = pieces(1), pieces(1)
    forgetting.watch(FIRST, early)
    forgetting.watch(SECOND, late)
    early[0].future.cancel()
    await asyncio.sleep(0)
    forgetting.back(FIRST)
    forgetting.back(SECOND)
    late[0].future.cancel()
    await pause()
    assert replicas.told == []


async def test_a_failure_costs_nothing_but_the_saving(caplog: pytest.LogCaptureFixture) -> None:
    replicas = Replicas()
    replicas.failure = ConnectionError("somewhere at an address")
    forgetting = Forgetting(replicas.tell)
    sent = pieces(2)
    forgetting.watch(FIRST, sent)
    for piece in sent:
        piece.future.cancel()
        await pause()
    assert replicas.told == [[(FIRST, 0)], [(FIRST, 1)]]
    assert "ConnectionError" in caplog.text
    assert "address" not in caplog.text
