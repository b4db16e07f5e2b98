from __future__ import annotations

import numpy as np
import pytest

from serve_app.errors import GalleryNotFoundError, InvalidRequestError, OperationReusedError
from serve_app.service import MAX_PAGE, GalleryService
from serve_app.types import Embeddings, Metric, Operation
from tests.fakes import MemoryIndex

LABELS = ["anna", "berta", "anna", "", "a/b"]


class Rig:
    def __init__(self) -> None:
        self.index = MemoryIndex()
        self.service = GalleryService(self.index)

    async def build(self, key: str, labels: list[str] = LABELS) -> None:
        embeddings = Embeddings("fake@1", np.eye(len(labels), 8, dtype=np.float32))
        await self.index.build(key, "Flat", Metric.IP, labels, embeddings, with_labels=False)


@pytest.fixture
async def rig() -> Rig:
    rig = Rig()
    for key in ("c", "a", "b"):
        await rig.build(key)
    return rig


async def test_pages_of_galleries_follow_each_other_by_key(rig: Rig) -> None:
    first = await rig.service.list(limit=2)
    assert [entry.info.key for entry in first.galleries] == ["a", "b"]
    assert first.next == "b"
    last = await rig.service.list(first.next, limit=2)
    assert [entry.info.key for entry in last.galleries] == ["c"]
    assert last.next is None


async def test_a_full_last_page_has_no_next(rig: Rig) -> None:
    page = await rig.service.list(limit=3)
    assert (len(page.galleries), page.next) == (3, None)
    assert (await rig.service.list("c")).galleries == []


async def test_pages_of_templates_follow_each_other_by_id(rig: Rig) -> None:
    first = await rig.service.templates("a", limit=2)
    assert [(t.id, t.label) for t in first.templates] == [(0, "anna"), (1, "berta")]
    assert first.next == 1
    rest = await rig.service.templates("a", after=first.next)
    assert [t.id for t in rest.templates] == [2, 3, 4]
    assert rest.next is None


@pytest.mark.parametrize(
    ("label", "ids"), [("anna", [0, 2]), ("", [3]), ("a/b", [4]), ("nobody", []), ("ann", [])]
)
async def test_templates_of_a_label(rig: Rig, label: str, ids: list[int]) -> None:
    page = await rig.service.templates("a", label)
    assert [t.id for t in page.templates] == ids


async def test_the_templates_of_a_label_are_removed(rig: Rig) -> None:
    receipt = await rig.service.remove_label("a", "anna")
    assert (receipt.ids, receipt.count) == ([0, 2], 3)
    again = await rig.service.remove_label("a", "anna")
    assert (again.ids, again.count) == ([], 3)
    assert (await rig.service.entry("b")).info.size == 5


async def test_a_dropped_gallery_is_gone_and_counted(rig: Rig) -> None:
    assert (await rig.service.drop("a")).count == 5
    with pytest.raises(GalleryNotFoundError):
        await rig.service.entry("a")
    assert [e.info.key for e in (await rig.service.list()).galleries] == ["b", "c"]


async def test_optimize_reaches_the_index(rig: Rig) -> None:
    assert (await rig.service.optimize("a")).count == 5
    assert rig.index.optimized == ["a"]


async def test_named_operations_are_done_once(rig: Rig) -> None:
    operation = Operation("one", "digest")
    first = await rig.service.drop("a", operation=operation)
    await rig.build("a", ["new"])
    assert await rig.service.drop("a", operation=operation) == first
    assert (await rig.service.entry("a")).info.size == 1
    with pytest.raises(OperationReusedError):
        await rig.service.remove_label("a", "new", operation=Operation("one", "other"))


async def test_an_unknown_gallery(rig: Rig) -> None:
    service = rig.service
    for call in (
        service.entry("x"),
        service.templates("x"),
        service.remove_label("x", "anna"),
        service.drop("x"),
        service.optimize("x"),
    ):
        with pytest.raises(GalleryNotFoundError):
            await call


@pytest.mark.parametrize("key", ["", "../a", "a/b", "a\0", "a" * 129])
async def test_a_bad_key_reaches_nobody(rig: Rig, key: str) -> None:
    service = rig.service
    calls = [
        service.entry(key),
        service.templates(key),
        service.remove_label(key, "anna"),
        service.drop(key),
        service.optimize(key),
    ]
    if key:
        calls.append(service.list(key))
    for call in calls:
        with pytest.raises(InvalidRequestError, match="a gallery key has"):
            await call


@pytest.mark.parametrize("limit", [0, -1, MAX_PAGE + 1])
async def test_pages_have_a_length(rig: Rig, limit: int) -> None:
    for call in (rig.service.list(limit=limit), rig.service.templates("a", limit=limit)):
        with pytest.raises(InvalidRequestError, match="limit"):
            await call
