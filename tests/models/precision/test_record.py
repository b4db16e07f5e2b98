"""What was found out about a network here, and for what it holds."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from serve_app.models.precision.precision import BF16, FP32, Precision
from serve_app.models.precision.record import PrecisionRecord, PrecisionRecords, PrecisionRow
from tests.models.precision.records import BF16_ROW, FACTS, INT8_ROW, NETWORK, record

INT8 = Precision("int8", "1a2b3c4d")


def find(
    cache: Path, digest: str = NETWORK.digest, mirror: bool = False, **facts: str
) -> PrecisionRecord | None:
    return PrecisionRecords(cache).find("SFace", digest, mirror=mirror, facts=FACTS | facts)


def test_is_found_on_the_same_processor_whatever_else_changed(tmp_path: Path) -> None:
    kept = record(BF16_ROW)
    assert find(tmp_path) is None
    PrecisionRecords(tmp_path).keep(kept)
    assert find(tmp_path) == kept
    assert find(tmp_path, threads="4") == kept
    assert find(tmp_path, cpu="another") is None
    assert find(tmp_path, mirror=True) is None
    assert find(tmp_path, digest="other weights") is None


def test_the_next_takes_its_place(tmp_path: Path) -> None:
    records = PrecisionRecords(tmp_path)
    records.keep(record(BF16_ROW, INT8_ROW))
    records.keep(record(BF16_ROW))
    records.keep(record(mirror=True))
    assert find(tmp_path) == record(BF16_ROW)
    assert find(tmp_path, mirror=True) == record(mirror=True)
    assert len(list((tmp_path / "precisions").iterdir())) == 2


@pytest.mark.parametrize("content", [b"", b"{}", b"\xff", None])
def test_a_file_that_can_not_be_understood_counts_as_none(
    tmp_path: Path, content: bytes | None
) -> None:
    PrecisionRecords(tmp_path).keep(record(BF16_ROW))
    (file,) = (tmp_path / "precisions").iterdir()
    older = file.read_bytes().replace(b'"format": 1', b'"format": 0')
    assert older != file.read_bytes()
    file.write_bytes(older if content is None else content)
    assert find(tmp_path) is None


@pytest.mark.parametrize(
    ("change", "accurate", "allowed"),
    [
        ({}, True, True),
        ({"lost": ("1:1 accuracy: 99.00 %, not 99.92 %",)}, False, False),
        ({"apart": "its probes in a gallery of fp32"}, True, False),
        ({"left_out": "needs OpenVINO"}, False, False),
    ],
)
def test_what_is_allowed(change: dict[str, object], accurate: bool, allowed: bool) -> None:
    row = BF16_ROW.model_copy(update=change)
    assert (row.accurate, row.allowed) == (accurate, allowed)
    found = record(row, INT8_ROW)
    assert found.mixable == ((FP32, BF16, INT8) if allowed else (FP32, INT8))
    assert found.row(BF16) == row
    assert record().row(BF16) is None


def test_what_was_left_out_needs_no_digest() -> None:
    row = PrecisionRow(precision="int8", left_out="int8 needs NNCF")
    assert record(row).mixable == (FP32,)


def test_rows_that_are_none() -> None:
    with pytest.raises(ValidationError, match="no precision"):
        record(PrecisionRow(precision="int8"))
    with pytest.raises(ValidationError, match="fp32 comes first"):
        PrecisionRecord.model_validate(record(BF16_ROW).model_dump() | {"rows": (BF16_ROW,)})
