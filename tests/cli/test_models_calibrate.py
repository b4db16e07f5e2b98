"""``face-serve models calibrate``: what is measured, kept and shown."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from serve_app.cli.models_calibrate import as_text, calibrate, kinds
from serve_app.config import PipelineConfig
from serve_app.errors import ConfigError
from serve_app.evaluation.precision import extractors as module
from serve_app.models.precision.record import PrecisionRecords, PrecisionRow
from tests.evaluation.precision.toy_extractors import ToyExtractors, ToyStage
from tests.evaluation.samples import write_people
from tests.models.precision.records import record

SHARES = {
    "accuracy": 0.9992,
    "tpr": 0.99,
    "recognised": 0.938,
    "cosine_mean": 0.9999,
    "cosine_least": 0.9991,
}


def test_the_table_lines_up_and_says_what_follows() -> None:
    found = record(
        PrecisionRow.model_validate({"precision": "bf16", "ms": 5.0, **SHARES}),
        PrecisionRow.model_validate(
            {"precision": "int8-1a2b3c4d", "ms": 4.0, **SHARES, "tpr": None,
             "lost": ("1:1 accuracy: 99.00 %, not 99.92 %",),
             "apart": "probes of fp32 in its gallery: 1:1 at threshold 0.400: 98 %, not 99 %"}
        ),
    )  # fmt: skip
    lines = as_text(found).splitlines()
    assert lines[0].split("  ")[0] == "precision"
    assert [line.split() for line in lines[2:5]] == [
        ["fp32", "10.00", "1.00", "yes", "yes"],
        ["bf16", "5.00", "2.00", "99.92", "99.00", "93.80", "0.99990", "0.99910", "yes", "yes"],
        ["int8-1a2b3c4d", "4.00", "2.50", "99.92", "93.80", "0.99990", "0.99910", "no", "no"],
    ]
    assert lines[6:] == [
        "int8-1a2b3c4d: 1:1 accuracy: 99.00 %, not 99.92 %",
        "int8-1a2b3c4d: not compatible: probes of fp32 in its gallery: 1:1 at threshold 0.400: "
        "98 %, not 99 %",
        "SFace: 2,425 faces, 1 thread, 2026-11-24 20:05 UTC; may be mixed: fp32, bf16",
    ]


def test_what_was_left_out() -> None:
    lines = as_text(record(PrecisionRow(precision="bf16", left_out="no such processor")))
    assert "bf16: left out: no such processor" in lines.splitlines()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("bf16,int8", ["bf16", "int8"]),
        ("int8, bf16", ["bf16", "int8"]),
        ("int8", ["int8"]),
        ("fp16", ["fp16"]),
    ],
)
def test_which_precisions(text: str, expected: list[str]) -> None:
    assert kinds(text) == expected


@pytest.mark.parametrize("text", ["fp64", "bf16,", "fp32,bf16", ""])
def test_precisions_that_are_none(text: str) -> None:
    with pytest.raises(ConfigError, match=r"^--precision: .*is none of bf16, int8, fp16"):
        kinds(text)


def test_a_run_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    people = write_people(tmp_path / "people", people=360, images=3, strangers=0, spread=0.2)
    cache = tmp_path / "cache"
    monkeypatch.setenv("FACE_SERVE_CACHE", str(cache))
    toy = ToyExtractors({"bf16": ToyStage("b"), "int8": "int8 needs NNCF"})
    asked: list[bool] = []

    def opened(_: PipelineConfig, where: Path, *, anew: bool) -> ToyExtractors:
        assert where == cache
        asked.append(anew)
        return toy

    monkeypatch.setattr(module, "PipelineExtractors", opened)
    app = typer.Typer()
    app.command()(calibrate)

    def run(*options: str) -> str:
        result = CliRunner().invoke(app, [str(people), *options], catch_exceptions=False)
        assert result.exit_code == 0, result.output
        return result.stdout

    assert "may be mixed: fp32, bf16" in run()
    found = json.loads(run("--json", "--precision", "bf16", "--new-int8"))
    assert asked == [False, True]
    assert [(row["precision"], row["allowed"]) for row in found["rows"]] == [
        ("fp32", True), ("bf16", True)
    ]  # fmt: skip
    kept = PrecisionRecords(cache).find("toy", "d" * 64, mirror=False, facts=toy.facts)
    assert kept is not None
    assert [row.precision for row in kept.rows] == ["fp32", "bf16"]


def test_left_out_it_is_what_the_device_may_have(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    people = write_people(tmp_path / "people", people=3, images=2, strangers=0, spread=0.2)
    monkeypatch.setenv("FACE_SERVE_CACHE", str(tmp_path / "cache"))
    toy = ToyExtractors({"fp16": ToyStage("h")})
    toy.facts |= {"device": "gpu:0", "gpus": "one"}
    monkeypatch.setattr(module, "PipelineExtractors", lambda *_, **__: toy)
    app = typer.Typer()
    app.command()(calibrate)
    result = CliRunner().invoke(app, [str(people), "--json"], catch_exceptions=False)
    rows = json.loads(result.stdout)["rows"]
    assert [row["precision"] for row in rows] == ["fp32", "fp16"]
