from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from serve_app.cli.main import app
from serve_app.errors import FaceServeError
from serve_app.planning.costs import DEFAULT_REPORT


def asked(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["plan", *arguments])


def test_a_plan_names_every_stage_and_what_binds() -> None:
    result = asked("--rps", "50", "--faces", "2", "--gallery", "1000000")
    assert result.exit_code == 0
    for words in ("Ingress", "Detector", "Extractor", "Index", "HNSW32, 1 shard", "binds first",
                  "p99", "known by", "Measured on"):  # fmt: skip
        assert words in result.output
    assert "clients" not in result.output


def test_json_holds_what_the_text_says() -> None:
    content = json.loads(asked("--rps", "500", "--json", "--check").output)
    assert content["load"]["rps"] == 500
    assert content["stages"]["Extractor"]["replicas"] >= 2
    assert content["latency"]["p99_ms"] > content["latency"]["p50_ms"]
    assert content["limits"][0]["use"] >= content["limits"][-1]["use"]
    assert len(content["check"]) >= 8


def test_the_check_has_a_line_for_each_run_of_the_report() -> None:
    lines = asked("--rps", "5", "--check").output.splitlines()
    assert sum(" clients " in line for line in lines) >= 8


def test_another_report_is_another_plan(tmp_path: Path) -> None:
    content = json.loads(DEFAULT_REPORT.read_text(encoding="utf-8"))
    for section in content["sections"].values():
        for run in section.get("service", {}).values():
            run["cpu_ms_by_role"]["Extractor"] *= 10
    file = tmp_path / "report.json"
    file.write_text(json.dumps(content), encoding="utf-8")

    def extractors(*more: str) -> int:
        found = json.loads(asked("--rps", "900", "--json", *more).output)
        return int(found["stages"]["Extractor"]["replicas"])

    assert extractors("--report", str(file)) > 5 * extractors()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--rps", "0"], "--rps is 0: give a number above 0"),
        (["--rps", "nan"], "--rps is nan: give a number above 0"),
        (["--rps", "5", "--gallery", "-3"], "--gallery is -3"),
        (["--rps", "5", "--utilisation", "65"], "--utilisation is 65: give a share"),
        (["--rps", "5", "--node-memory", "1"], "too small for Ray and one replica"),
    ],
)
def test_what_can_not_be_is_said(arguments: list[str], message: str) -> None:
    result = asked(*arguments)
    assert isinstance(result.exception, FaceServeError)
    assert message in str(result.exception)


def test_a_rate_is_needed() -> None:
    result = asked()
    assert result.exit_code == 2
    assert "--rps" in result.output
