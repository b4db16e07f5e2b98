"""``face-serve models bench``: what is measured, and how it is shown."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from serve_app.cli.models_bench import as_text, bench
from serve_app.models.network import Network
from serve_app.models.selection import fastest
from serve_app.models.selection.choice import RunOptions
from serve_app.models.selection.measurement import Measurement, Row


def measurement(network: str, threads: int = 1) -> Measurement:
    return Measurement(
        network=network,
        digest="d" * 64,
        facts={"threads": str(threads), "cores": "2", "device": "cpu"},
        taken=datetime(2026, 11, 24, 20, 5, tzinfo=UTC),
        images=8,
        plain="onnxruntime",
        chosen="openvino",
        rows=(
            Row(runtime="onnxruntime", ms=160, turns_ms=(160, 162)),
            Row(runtime="openvino", ms=48, turns_ms=(48, 50), difference="1 - cosine 1e-12"),
            Row(runtime="paddle", left_out="crashes with SIGABRT"),
        ),
    )


def test_the_table_lines_up_and_marks_the_chosen_one() -> None:
    assert as_text([measurement("SFace")]).splitlines() == [
        "network  runtime      ms a run  ms an image  x plain  difference",
        "-------  -----------  --------  -----------  -------  ----------------  "
        "--------------------",
        "SFace    onnxruntime    160.00        20.00     1.00                    plain",
        "SFace    openvino        48.00         6.00     3.33  1 - cosine 1e-12  chosen",
        "SFace    paddle                                                         "
        "crashes with SIGABRT",
        "",
        "SFace: 8 images a run, 1 thread of 2 cores, cpu, measured 2026-11-24 20:05 UTC; "
        "--again measures anew",
    ]


def test_a_plain_runtime_that_fails_leaves_no_ratio() -> None:
    failed = measurement("SFace").model_copy(
        update={
            "chosen": "onnxruntime",
            "rows": (Row(runtime="onnxruntime", left_out="gives no answer in 180 s"),),
        }
    )
    assert "plain, chosen, gives no answer in 180 s" in as_text([failed])


Asked = list[tuple[str, str, RunOptions, bool]]


@pytest.fixture
def asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Asked:
    """What is asked of the measurement, whose outcome is known here."""
    calls: Asked = []

    def measured(network: Network, plain: str, options: RunOptions, *, again: bool) -> Measurement:
        calls.append((network.name, plain, options, again))
        return measurement(network.name, options.threads)

    monkeypatch.setattr(fastest, "measured", measured)
    monkeypatch.setenv("FACE_SERVE_CACHE", str(tmp_path))
    return calls


def run(*arguments: str) -> str:
    app = typer.Typer()
    app.command()(bench)
    result = CliRunner().invoke(app, arguments, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


@pytest.mark.models
def test_both_networks_of_a_pipeline_with_its_threads(asked: Asked, tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(
        "pipeline_name: face_recognition\n"
        "SubModules:\n"
        "  Detection: {model_name: YuNet, threads: 3}\n"
        "  Recognition: {model_name: SFace, threads: 4}\n"
    )
    output = run("--pipeline", str(file), "--device", "cpu")
    assert [(name, options.threads, again) for name, _, options, again in asked] == [
        ("YuNet", 3, False), ("SFace", 4, False)
    ]  # fmt: skip
    assert [plain for _, plain, _, _ in asked] == ["onnxruntime", "openvino"]
    assert "YuNet: 8 images a run, 3 threads of 2 cores" in output
    run("--pipeline", str(file), "--threads", "2", "--again")
    assert [(o.threads, again) for _, _, o, again in asked[2:]] == [(2, True), (2, True)]


@pytest.mark.models
def test_as_json(asked: Asked) -> None:
    found: list[dict[str, Any]] = json.loads(run("--json"))
    assert [entry["network"] for entry in found] == ["YuNet", "SFace"]
    assert found[0]["chosen"] == "openvino"
    assert found[0]["rows"][1] == {
        "runtime": "openvino", "ms": 48, "turns_ms": [48, 50],
        "difference": "1 - cosine 1e-12", "left_out": None,
    }  # fmt: skip
    assert found[0]["taken"] == "2026-11-24T20:05:00Z"
