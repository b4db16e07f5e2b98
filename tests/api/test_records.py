from __future__ import annotations

from datetime import UTC, datetime

import pytest

from serve_app.api import record_schemas as schemas
from serve_app.api.records import RecordOperations
from serve_app.audit_rows import AuditPlace, AuditQuery
from serve_app.held import HeldPage, HeldPlace, HeldRow, HeldTemplate, Where
from serve_app.service import RecordService
from tests.memory_records import Asked, MemoryRecords

BLOB = bytes(range(8))


def template(key: str, number: int, where: Where = Where.SERVED, job: str = "") -> HeldTemplate:
    at, source = (1_700_000_000.0, "/photos/a.jpg") if job else (None, None)
    return HeldTemplate(key, where, job, "g", 1, "m@1", number, at, source, BLOB)


@pytest.fixture
def records() -> MemoryRecords:
    return MemoryRecords()


@pytest.fixture
def operations(records: MemoryRecords) -> RecordOperations:
    return RecordOperations(RecordService(records, records))


async def test_templates_are_gathered_by_gallery(
    operations: RecordOperations, records: MemoryRecords
) -> None:
    staged = template("a", 7, Where.STAGED, "j")
    records.page = HeldPage(
        [template("a", 1), template("a", 2), template("b", 1), staged],
        [HeldRow("j", "a", "g", 4, "rejected", "no face", "/photos/b.jpg")],
        HeldPlace(job="j", position=4),
    )
    path = schemas.PersonPath.model_validate({"label": "Ann"})
    query = schemas.PersonQuery.model_validate(
        {"after": "t.3.4", "limit": "5", "embeddings": "true"}
    )
    found = await operations.held(path, query)
    assert records.asked == [Asked("Ann", "", HeldPlace(3, 4), 5, True)]
    assert [
        (g.index_key, g.where, g.job_id, [t.id for t in g.templates]) for g in found.galleries
    ] == [
        ("a", "served", None, [1, 2]),
        ("b", "served", None, [1]),
        ("a", "staged", "j", [7]),
    ]
    last = found.galleries[-1].templates[0]
    assert (last.added_at, last.source) == ("2023-11-14T22:13:20.000Z", "/photos/a.jpg")
    assert last.embedding == BLOB
    assert found.rows[0].reason == "no face"
    assert found.next == "r.4.j"


async def test_what_is_asked_of_the_log(
    operations: RecordOperations, records: MemoryRecords
) -> None:
    query = schemas.AuditParameters.model_validate(
        {
            "indexKey": "staff",
            "since": "2026-01-31T12:00:00Z",
            "until": "2026-02-01T00:00:00.5+01:00",
            "after": "1700000000123.4.staff",
            "limit": 3,
        }
    )
    await operations.audit(query)
    assert records.queries == [
        AuditQuery(
            "staff",
            None,
            datetime(2026, 1, 31, 12, tzinfo=UTC).timestamp(),
            datetime(2026, 1, 31, 23, 0, 0, 500_000, tzinfo=UTC).timestamp(),
            AuditPlace(1_700_000_000.123, "staff", 4),
            4,
        )
    ]
