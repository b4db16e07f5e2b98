from __future__ import annotations

import hashlib
from dataclasses import fields, replace
from typing import Any

import pytest

from serve_app.audit_rows import FACTS, GENESIS, AuditPlace, AuditRow, digest_of, runs

ROW = AuditRow(
    chain="acme/staff",
    number=3,
    tenant="acme",
    at=1_700_000_000.123,
    actor="k1",
    address="192.0.2.7",
    action="add",
    result="ok",
    generation="g",
    seq=4,
    ids="0-2",
    count=3,
    operation="op",
)


@pytest.mark.parametrize(
    ("ids", "written"),
    [
        ([], ""),
        ([7], "7"),
        ([0, 1], "0-1"),
        ([*range(42), 50], "0-41,50"),
        ([3, 5, 6, 9], "3,5-6,9"),
        (range(0), ""),
        (range(5, 6), "5"),
        (range(1_000_000), "0-999999"),
    ],
)
def test_runs(ids: list[int] | range, written: str) -> None:
    assert runs(ids) == written


def test_a_digest_is_of_the_row_and_of_the_digest_before() -> None:
    """In a form that other languages can make: this is what docs/audit.md says."""
    text = '["acme/staff",3,"acme",1700000000.123,"k1","192.0.2.7","add","ok","g",4,"0-2",3,"op"]'
    assert digest_of(GENESIS, ROW) == hashlib.sha256(bytes(32) + text.encode()).digest()
    assert digest_of(b"\1" * 32, ROW) != digest_of(GENESIS, ROW)


@pytest.mark.parametrize("name", FACTS)
def test_every_column_counts(name: str) -> None:
    value: Any = getattr(ROW, name)
    other: Any = value + 1 if isinstance(value, int | float) else value + "x"
    changed = replace(ROW, **{name: other})
    assert digest_of(GENESIS, changed) != digest_of(GENESIS, ROW)


def test_nothing_moves_between_columns() -> None:
    one = replace(ROW, actor='a","b', address="c")
    other = replace(ROW, actor="a", address='b","c')
    assert digest_of(GENESIS, one) != digest_of(GENESIS, other)
    assert digest_of(GENESIS, replace(ROW, ids="3")) != digest_of(GENESIS, replace(ROW, ids=3))  # type: ignore[arg-type]


def test_no_column_is_left_out() -> None:
    assert {*FACTS, "digest"} == {field.name for field in fields(AuditRow)}


def test_a_place_comes_back() -> None:
    place = AuditPlace(1_700_000_000.123, "acme/a.b", 42)
    assert AuditPlace.parse(str(place)) == place
    for text in ("", "1", "a.b.c", "1.2"):
        with pytest.raises(ValueError):
            AuditPlace.parse(text)
