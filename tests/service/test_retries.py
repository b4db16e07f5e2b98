"""Named operations: what is sent again is done once and answered the same."""

from __future__ import annotations

import asyncio

import pytest

from serve_app.errors import (
    GalleryExistsError,
    GalleryNotFoundError,
    OperationReusedError,
    RejectedPairsError,
)
from serve_app.service import Enrolment, Pair, RecognitionService
from serve_app.types import Operation
from tests.fakes import BLACK, BLUE, GREEN, RED, picture
from tests.service.test_recognition import PAIRS, Rig

ONE = Operation("one", "digest")
MIXED: list[Pair] = [(picture(BLACK), "nobody"), (picture(RED), "more"), (b"junk", "junk")]


@pytest.fixture
async def rig() -> Rig:
    rig = Rig()
    await rig.service.build(PAIRS, "g")
    rig.extractor.calls.clear()
    rig.detector.calls = 0
    return rig


async def nothing() -> list[Pair]:
    raise AssertionError("a retry needs no images")


async def count(service: RecognitionService, key: str = "g") -> int:
    return (await service.remove([], key)).count


async def test_an_add_is_done_once_and_its_retry_embeds_and_reads_nothing(rig: Rig) -> None:
    first = await rig.service.add(PAIRS[:1], "g", operation=ONE)
    assert (first.receipt.ids, first.receipt.count) == ([3], 4)
    again = await rig.service.add(nothing, "g", operation=ONE)
    assert again == first
    assert again.receipt.labels == {0: "red", 1: "green", 2: "blue", 3: "red"}
    assert rig.extractor.calls == [1]
    assert await count(rig.service) == 4


async def test_a_retry_after_other_changes_answers_as_the_first_did(rig: Rig) -> None:
    first = await rig.service.add(PAIRS[:1], "g", operation=ONE)
    await rig.service.add(PAIRS, "g")
    await rig.service.remove([0], "g")
    again = await rig.service.add(nothing, "g", operation=ONE)
    assert (again.receipt.ids, again.receipt.count) == (first.receipt.ids, first.receipt.count)
    # What was removed since is told no more: its label is nowhere kept.
    assert again.receipt.labels == {1: "green", 2: "blue", 3: "red"}


async def test_labels_are_told_only_if_asked_for(rig: Rig) -> None:
    await rig.service.add(PAIRS[:1], "g", operation=ONE)
    again = await rig.service.add(nothing, "g", with_labels=False, operation=ONE)
    assert again.receipt.labels is None


async def test_rejected_pairs_are_the_same_on_a_retry(rig: Rig) -> None:
    first = await rig.service.add(MIXED, "g", skip=True, operation=ONE)
    assert [rejection.position for rejection in first.rejected] == [0, 2]
    assert first.receipt.ids == [3]
    again = await rig.service.add(nothing, "g", skip=True, operation=ONE)
    assert again == first
    assert "more" not in first.receipt.note
    assert "nobody" not in first.receipt.note


async def test_a_build_is_done_once_and_keeps_the_key_the_service_made() -> None:
    rig = Rig()
    first = await rig.service.build(PAIRS, operation=ONE)
    again = await rig.service.build(nothing, operation=ONE)
    assert again == first
    assert again.key == first.key != ""
    assert await count(rig.service, first.key) == 3


async def test_a_build_under_a_chosen_key_is_no_conflict_with_itself(rig: Rig) -> None:
    first = await rig.service.build(PAIRS, "h", operation=ONE)
    assert await rig.service.build(nothing, "h", operation=ONE) == first
    with pytest.raises(GalleryExistsError):
        await rig.service.build(nothing, "h", operation=Operation("two"))


async def test_a_removal_is_done_once(rig: Rig) -> None:
    first = await rig.service.remove([0, 99], "g", operation=ONE)
    await rig.service.add(PAIRS, "g")
    again = await rig.service.remove([0, 99], "g", operation=ONE)
    assert (again.ids, again.count) == (first.ids, first.count) == ([0], 2)
    assert await count(rig.service) == 5


async def test_retries_are_answered_when_the_gallery_is_gone(rig: Rig) -> None:
    added = await rig.service.add(PAIRS[:1], "g", with_labels=False, operation=ONE)
    two = Operation("two")
    removed = await rig.service.remove([0], "g", with_labels=False, operation=two)
    await rig.index.drop("g")
    assert await rig.service.add(nothing, "g", with_labels=False, operation=ONE) == added
    assert await rig.service.remove([0], "g", with_labels=False, operation=two) == removed
    with pytest.raises(GalleryNotFoundError):
        await rig.service.add(nothing, "g", operation=Operation("three"))


async def test_an_operation_of_something_else_is_refused(rig: Rig) -> None:
    await rig.service.add(PAIRS[:1], "g", operation=ONE)
    other = Operation("one", "another digest")
    with pytest.raises(OperationReusedError):
        await rig.service.add(nothing, "g", operation=other)
    with pytest.raises(OperationReusedError):
        await rig.service.build(nothing, "new", operation=other)
    with pytest.raises(OperationReusedError):
        await rig.service.remove([0], "g", operation=other)
    assert await count(rig.service) == 4


async def test_what_failed_is_tried_anew(rig: Rig) -> None:
    with pytest.raises(RejectedPairsError):
        await rig.service.add(MIXED, "g", operation=ONE)
    assert (await rig.service.add(PAIRS[:1], "g", operation=ONE)).receipt.ids == [3]


async def test_without_a_name_nobody_is_asked_and_all_is_done(rig: Rig) -> None:
    await rig.service.add(PAIRS[:1], "g")
    await rig.service.add(PAIRS[:1], "g")
    assert await count(rig.service) == 5
    assert rig.index.asked == []


@pytest.mark.parametrize("key", [None, "h"])
async def test_the_same_operation_twice_at_once_is_done_once(key: str | None) -> None:
    rig = Rig()
    rig.detector.gate = asyncio.Event()

    async def build(pairs: list[Pair]) -> Enrolment:
        return await rig.service.build(pairs, key, skip=True, operation=ONE)

    tasks = [asyncio.create_task(build([*MIXED])) for _ in range(2)]
    while rig.detector.under_way < 2 * len(MIXED):
        await asyncio.sleep(0)
    rig.detector.gate.set()
    first, second = await asyncio.gather(*tasks)
    assert first == second
    assert await count(rig.service, first.key) == 1


async def test_what_is_told_is_what_was_kept_also_if_another_was_faster(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An image that only the first of two could read: both answer as the first."""
    first = await rig.service.add([(picture(BLUE), "b")], "g", skip=True, operation=ONE)

    async def before_it_was_done(operation: Operation, *, with_labels: bool = False) -> None:
        return None

    monkeypatch.setattr(rig.index, "answered", before_it_was_done)
    pairs: list[Pair] = [(picture(BLACK), "b"), (picture(GREEN), "c")]
    second = await rig.service.add(pairs, "g", skip=True, operation=ONE)
    assert second == first
    assert second.rejected == []
