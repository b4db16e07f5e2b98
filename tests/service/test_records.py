from __future__ import annotations

from dataclasses import replace

import pytest

from serve_app.audit_rows import AuditPlace, AuditQuery, AuditRow
from serve_app.errors import InvalidRequestError, UnavailableError
from serve_app.held import Erased, Erasure, HeldPlace, Where
from serve_app.service import RecordService
from tests.memory_records import Asked, MemoryRecords

ROW = AuditRow("staff", 0, "", 1.5, "k1", "", "add", "ok", "g", 2, "0", 1, "op", b"d" * 32)


@pytest.fixture
def records() -> MemoryRecords:
    return MemoryRecords()


@pytest.fixture
def service(records: MemoryRecords) -> RecordService:
    return RecordService(records, records)


async def test_what_is_asked_is_passed_on(service: RecordService, records: MemoryRecords) -> None:
    assert await service.held("Ann", HeldPlace(1, 2), 7, embeddings=True) == records.page
    assert await service.erase("Ann") == records.erasure
    assert records.asked == [Asked("Ann", "", HeldPlace(1, 2), 7, True), Asked("Ann", "")]


async def test_pages_of_the_log(service: RecordService, records: MemoryRecords) -> None:
    records.log = [replace(ROW, number=number) for number in range(3)]
    page = await service.audit(AuditQuery(chain="staff", limit=3))
    assert (list(page.rows), page.next) == (records.log, None)
    page = await service.audit(AuditQuery(limit=2))
    assert list(page.rows) == records.log[:2]
    assert page.next == AuditPlace(1.5, "staff", 1)
    assert [asked.limit for asked in records.queries] == [4, 3]


async def test_limits_and_keys(service: RecordService) -> None:
    for limit in (0, 1001):
        with pytest.raises(InvalidRequestError, match="limit"):
            await service.held("Ann", limit=limit)
        with pytest.raises(InvalidRequestError, match="limit"):
            await service.audit(AuditQuery(limit=limit))
    with pytest.raises(InvalidRequestError):
        await service.audit(AuditQuery(chain="acme/staff"))


async def test_an_erasure_that_is_not_done_everywhere(
    service: RecordService, records: MemoryRecords
) -> None:
    failed = {f"gallery-{number}": "unavailable" for number in range(22)}
    erased = [Erased("guests", Where.SERVED, 1), Erased("gallery-3", Where.INPUT, 1, "j")]
    records.erasure = Erasure(erased, failed, [])
    with pytest.raises(UnavailableError) as caught:
        await service.erase("Ann")
    message = str(caught.value)
    assert "send it again" in message
    assert "gallery-19 and 2 more; done in guests" in message
    assert "Ann" not in message
