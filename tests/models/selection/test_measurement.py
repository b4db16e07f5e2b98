"""What is remembered is written whole, and read back as it was."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path

import pytest

from serve_app.models.selection.measurement import Measurement, Remembered, Row

FACTS = {"cpu": "EPYC", "threads": "1"}
MEASUREMENT = Measurement(
    network="SFace",
    digest="d" * 64,
    facts=FACTS,
    taken=datetime(2026, 11, 24, 20, 0, tzinfo=UTC),
    images=8,
    plain="onnxruntime",
    chosen="openvino",
    rows=(
        Row(runtime="onnxruntime", ms=20.5, turns_ms=(20.5, 21.0)),
        Row(runtime="openvino", ms=6.25, turns_ms=(6.25,), difference="1 - cosine 1e-12"),
        Row(runtime="paddle", left_out="crashes with SIGABRT"),
    ),
)


def test_is_found_as_it_was_kept(tmp_path: Path) -> None:
    remembered = Remembered(tmp_path / "new")
    assert remembered.find("SFace", "d" * 64, "onnxruntime", FACTS) is None
    remembered.keep(MEASUREMENT)
    assert remembered.find("SFace", "d" * 64, "onnxruntime", FACTS) == MEASUREMENT
    assert MEASUREMENT.row("paddle").left_out == "crashes with SIGABRT"


def test_each_has_its_own_file(tmp_path: Path) -> None:
    remembered = Remembered(tmp_path)
    others = [
        MEASUREMENT,
        MEASUREMENT.model_copy(update={"facts": {**FACTS, "threads": "2"}}),
        MEASUREMENT.model_copy(update={"digest": "e" * 64}),
        MEASUREMENT.model_copy(update={"network": "YuNet"}),
    ]
    for one in others:
        remembered.keep(one)
    for one in others:
        assert remembered.find(one.network, one.digest, one.plain, one.facts) == one


def test_a_write_that_fails_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr(os, "fdopen", full)
    with pytest.raises(OSError, match="no space"):
        Remembered(tmp_path).keep(MEASUREMENT)
    assert list(tmp_path.iterdir()) == []
