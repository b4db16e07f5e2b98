from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from serve_app.api.record_schemas import AuditParameters, PersonPath, PersonQuery
from serve_app.audit_rows import AuditPlace
from serve_app.held import HeldPlace

LONG = "a" * 128


@pytest.mark.parametrize("place", [HeldPlace(0, 2**59), HeldPlace(job=LONG, position=3)])
def test_a_place_that_was_told_is_taken(place: HeldPlace) -> None:
    query = PersonQuery.model_validate({"after": str(place)})
    assert query.after is not None
    assert HeldPlace.parse(query.after) == place


def test_a_place_in_the_log_that_was_told_is_taken() -> None:
    place = AuditPlace(1_700_000_000.123, LONG, 2**59)
    query = AuditParameters.model_validate({"after": str(place)})
    assert query.after is not None
    assert AuditPlace.parse(query.after) == place


@pytest.mark.parametrize(
    ("schema", "values"),
    [
        (PersonQuery, {"after": "x"}),
        (PersonQuery, {"after": "t.1.-5"}),
        (PersonQuery, {"after": "t.1.2\n"}),
        (PersonQuery, {"after": f"t.1.{'9' * 19}"}),
        (PersonQuery, {"after": "r.1.acme/job"}),
        (PersonQuery, {"embeddings": "perhaps"}),
        (PersonQuery, {"limit": 0}),
        (PersonPath, {"label": "a\0"}),
        (PersonPath, {"label": "a" * 1001}),
        (AuditParameters, {"after": "1.2.acme/staff"}),
        (AuditParameters, {"after": "x.2.staff"}),
        (AuditParameters, {"since": "2026-01-31T12:00:00"}),
        (AuditParameters, {"until": "yesterday"}),
        (AuditParameters, {"indexKey": "acme/staff"}),
        (AuditParameters, {"limit": 1001}),
    ],
)
def test_what_is_refused(schema: Any, values: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        schema.model_validate(values)


def test_empty_is_left_out() -> None:
    assert PersonQuery.model_validate({"after": ""}).after is None
    empty = AuditParameters.model_validate({"after": "", "indexKey": ""})
    assert (empty.after, empty.index_key, empty.since) == (None, None, None)
