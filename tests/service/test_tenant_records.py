"""Tenants see their own records, over the store; errors name what they know."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from serve_app.audit_rows import AuditQuery, AuditRow
from serve_app.errors import UnavailableError
from serve_app.held import Erased, Erasure, Where
from serve_app.index.store import GalleryStore, sqlite_url
from serve_app.request_context import RequestContext, in_request
from serve_app.service import RecordService, TenantAuditLog, TenantPeople
from serve_app.types import Caller
from tests.index.spread import ANN, spread
from tests.memory_records import MemoryRecords
from tests.ports import LocalRecords


@pytest.fixture
def service(tmp_path: Path) -> Iterator[RecordService]:
    with contextlib.closing(GalleryStore(sqlite_url(tmp_path / "galleries.db"))) as store:
        spread(store)
        records = LocalRecords(store)
        yield RecordService(TenantPeople(records), TenantAuditLog(records))


def as_of(tenant: str) -> contextlib.AbstractContextManager[None]:
    return in_request(RequestContext(caller=Caller(tenant, "k1", "192.0.2.1")))


async def test_what_is_held(service: RecordService) -> None:
    with as_of("acme"):
        page = await service.held(ANN, limit=1)
        assert [(one.key, one.id) for one in page.templates] == [("staff", 1)]
        rest = await service.held(ANN, page.next)
        assert [(one.key, one.id) for one in rest.templates] == [("staff", 3)]
        (row,) = (await service.audit(AuditQuery(chain="staff", limit=1000))).rows[-1:]
        assert (row.chain, row.tenant, row.action, row.ids) == (
            "staff",
            "acme",
            "export_label",
            "3",
        )
        assert (row.actor, row.address) == ("k1", "192.0.2.1")
    with as_of("nobody"):
        assert (await service.held(ANN)).templates == []
        assert (await service.audit(AuditQuery())).rows == []


async def test_what_is_erased(service: RecordService) -> None:
    with as_of("acme"):
        done = await service.erase(ANN)
        assert done == Erasure([Erased("staff", Where.SERVED, 2)], {}, [])
        assert await service.erase(ANN) == Erasure([], {}, [])
    with as_of(""):
        assert len((await service.held(ANN)).templates) == 5


async def test_the_log_by_pages(service: RecordService) -> None:
    with as_of(""):
        whole = (await service.audit(AuditQuery(limit=1000))).rows
        assert {row.tenant for row in whole} == {""}
        paged: list[AuditRow] = []
        asked = AuditQuery(limit=1)
        while True:
            page = await service.audit(asked)
            paged += page.rows
            if page.next is None:
                break
            asked = AuditQuery(limit=1, after=page.next)
    assert paged == list(whole)
    with as_of("acme"):
        first = await service.audit(AuditQuery(limit=1))
        assert first.next is not None
        assert first.next.chain == "staff"
        (second,) = (await service.audit(AuditQuery(limit=5, after=first.next))).rows
        assert second.number == 1


async def test_jobs_and_failures_have_the_names_that_the_tenant_knows() -> None:
    records = MemoryRecords(tenant="acme")
    erased = [Erased("acme/staff", Where.STAGED, 1, "acme/job")]
    records.erasure = Erasure(erased, {"acme/guests": "unavailable"}, ["acme/job"])
    people = TenantPeople(records)
    with as_of("acme"):
        done = await people.erase(ANN)
        assert done == Erasure(
            [Erased("staff", Where.STAGED, 1, "job")], {"guests": "unavailable"}, ["job"]
        )
        with pytest.raises(UnavailableError) as caught:
            await RecordService(people, TenantAuditLog(records)).erase(ANN)
    assert "acme" not in str(caught.value)
    assert {one.tenant for one in records.asked} == {"acme"}
