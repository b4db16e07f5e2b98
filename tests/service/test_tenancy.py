"""Tenants with galleries and jobs of the same keys see their own, and not that there are others:
over the fakes and over the store."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import numpy as np
import pytest

from serve_app.config import JobRequest
from serve_app.errors import FaceServeError, GalleryNotFoundError, JobNotFoundError
from serve_app.index.store import GalleryStore, sqlite_url
from serve_app.request_context import RequestContext, in_request
from serve_app.service import TenantGalleries, TenantIndex, TenantJobs
from serve_app.types import Caller, Embeddings, Metric
from tests.memory_index import MemoryIndex
from tests.memory_jobs import MemoryJobs
from tests.ports import LocalIndex

ONE = Embeddings("m@1", np.eye(1, 8, dtype=np.float32))
Whole = MemoryIndex | LocalIndex


@pytest.fixture(params=["memory", "store"])
def whole(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Whole]:
    if request.param == "memory":
        yield MemoryIndex()
        return
    with contextlib.closing(GalleryStore(sqlite_url(tmp_path / "galleries.db"))) as store:
        yield LocalIndex(store)


def as_of(tenant: str) -> AbstractContextManager[None]:
    return in_request(RequestContext(caller=Caller(tenant, "k1")))


async def build(index: TenantIndex, tenant: str, key: str, label: str) -> None:
    with as_of(tenant):
        receipt = await index.build(key, "Flat", Metric.IP, [label], ONE, with_labels=False)
        assert receipt.key in ("", key)


async def test_each_tenant_has_its_own_gallery_of_a_key(whole: Whole) -> None:
    index, galleries = TenantIndex(whole), TenantGalleries(whole)
    for tenant in ("", "acme", "other"):
        await build(index, tenant, "friends", f"of {tenant}")
    for tenant in ("", "acme", "other"):
        with as_of(tenant):
            found = await index.search("friends", ONE, 5)
            assert [c.label for c in found.candidates[0]] == [f"of {tenant}"]
            assert (await index.describe("friends")).key == "friends"
            assert (await galleries.entry("friends")).info.key == "friends"
            assert [e.info.key for e in await galleries.list("", 10)] == ["friends"]
            assert [t.label for t in await galleries.templates("friends", None, -1, 9)] == [
                f"of {tenant}"
            ]


async def test_what_one_tenant_removes_the_others_keep(whole: Whole) -> None:
    index, galleries = TenantIndex(whole), TenantGalleries(whole)
    for tenant in ("", "acme", "other"):
        await build(index, tenant, "friends", "Anna")
    with as_of("acme"):
        assert (await index.remove("friends", [0], with_labels=True)).labels == {}
        assert (await galleries.remove_label("friends", "Anna")).ids == []
        await galleries.optimize("friends")
        await galleries.drop("friends")
        assert await galleries.list("", 10) == []
    for tenant in ("", "other"):
        with as_of(tenant):
            assert (await index.describe("friends")).size == 1


@pytest.mark.parametrize("asking", ["", "acme"])
async def test_anothers_gallery_is_one_that_is_not_there(whole: Whole, asking: str) -> None:
    index, galleries = TenantIndex(whole), TenantGalleries(whole)
    await build(index, "other", "friends", "Anna")

    async def told(key: str) -> list[str]:
        said = []
        for call in (
            lambda: index.add(key, ["x"], ONE, with_labels=False),
            lambda: index.remove(key, [0], with_labels=False),
            lambda: index.search(key, ONE, 1),
            lambda: index.describe(key),
            lambda: galleries.entry(key),
            lambda: galleries.templates(key, None, -1, 9),
            lambda: galleries.remove_label(key, "Anna"),
            lambda: galleries.drop(key),
            lambda: galleries.optimize(key),
        ):
            with pytest.raises(GalleryNotFoundError) as caught:
                await call()
            said.append(str(caught.value).replace(key, "KEY"))
        return said

    with as_of(asking):
        theirs, nobodys = await told("friends"), await told("nobodys")
    assert theirs == nobodys
    assert not any("other" in text or "acme" in text for text in theirs)
    with as_of("other"):
        assert (await index.describe("friends")).size == 1


async def test_pages_of_galleries_go_through_one_tenants(whole: Whole) -> None:
    index, galleries = TenantIndex(whole), TenantGalleries(whole)
    for tenant in ("", "acme", "acme2", "zoo"):
        for key in ("a", "b", "c"):
            await build(index, tenant, key, "Anna")
    for tenant in ("", "acme", "acme2", "zoo"):
        with as_of(tenant):
            seen, after = [], ""
            while page := await galleries.list(after, 2):
                seen += [entry.info.key for entry in page]
                after = seen[-1]
            assert seen == ["a", "b", "c"]


async def test_errors_name_a_gallery_as_its_tenant_does(whole: Whole) -> None:
    index = TenantIndex(whole)
    await build(index, "acme", "friends", "Anna")
    with as_of("acme"), pytest.raises(FaceServeError) as caught:
        await index.build("friends", "Flat", Metric.IP, ["x"], ONE, with_labels=False)
    assert "acme" not in str(caught.value)
    if isinstance(whole, LocalIndex):  # the fake's says no more
        assert "gallery friends exists already" in str(caught.value)


async def test_each_tenant_sees_its_own_jobs() -> None:
    whole = MemoryJobs()
    jobs = TenantJobs(whole)
    asked = JobRequest(key="friends", input="s3://bucket/people")
    for tenant in ("", "acme"):
        with as_of(tenant):
            job = await jobs.submit(f"monday{tenant}", asked)
            assert (job.id, job.key) == (f"monday{tenant}", "friends")
    assert whole.begun == ["monday", "acme/mondayacme"]
    whole.settle("acme/mondayacme", message="gallery acme/friends exists already")
    with as_of("acme"):
        assert [job.id for job in await jobs.jobs(10)] == ["mondayacme"]
        assert (await jobs.job("mondayacme")).message == "gallery friends exists already"
        for call in (
            lambda: jobs.job("monday"),
            lambda: jobs.cancel("monday"),
            lambda: jobs.rejections("monday", -1, 9),
        ):
            with pytest.raises(JobNotFoundError) as caught:
                await call()
            assert "acme" not in str(caught.value)
        await jobs.forget("monday")
        await jobs.cancel("mondayacme")
    with as_of(""):
        assert [(job.id, job.state) for job in await jobs.jobs(10)] == [("monday", "queued")]
