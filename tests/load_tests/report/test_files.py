from __future__ import annotations

import json
from pathlib import Path

from load_tests.findings import Finding, Section
from load_tests.report.files import VERSION, write


def test_the_json_says_its_version_and_holds_all_figures(tmp_path: Path) -> None:
    figures = {"service": {1: {"p99_ms": float("nan")}}, "faces": 1}
    section = Section("small", ["a"], [["x"]], [Finding("1", "told", 3.0, None)], [], figures)
    report = write(tmp_path / "out", [section], [], {"Machine": "a processor, 2 cores"})
    assert "## small" in report.read_text(encoding="utf-8")
    content = json.loads((tmp_path / "out" / "report.json").read_text(encoding="utf-8"))
    assert content["version"] == VERSION
    assert content["facts"] == {"Machine": "a processor, 2 cores"}
    # JSON has neither NaN nor keys that are numbers.
    assert content["sections"] == {"small": {"service": {"1": {"p99_ms": None}}, "faces": 1}}
    assert content["findings"][0]["holds"] is None
