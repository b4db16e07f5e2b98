"""``face-serve config check``: what it prints and how it ends."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner, Result

from serve_app.cli.main import app


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "right.yaml").write_text("rec_topk: 3", encoding="utf-8")
    (tmp_path / "wrong.yaml").write_text("rec_topc: 3\ndet_tresh: 1", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def check(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["config", "check", *arguments])


def test_text(files: Path) -> None:
    right = check("right.yaml")
    assert (right.exit_code, right.stdout) == (0, "right.yaml: pipeline file, nothing wrong\n")
    both = check("wrong.yaml", "right.yaml")
    assert both.exit_code == 2
    assert both.stdout.splitlines() == [
        "wrong.yaml: pipeline file, 2 mistakes",
        "  rec_topc is not a known key; did you mean rec_topk?",
        "  det_tresh is not a known key; did you mean det_threshold?",
        "right.yaml: pipeline file, nothing wrong",
    ]


def test_what_is_shown_is_a_pipeline_file(files: Path) -> None:
    shown = check("right.yaml", "--show")
    assert yaml.safe_load(shown.stdout)["rec_topk"] == 3
    (files / "shown.yaml").write_text(shown.stdout, encoding="utf-8")
    assert check("shown.yaml").exit_code == 0
    assert "values" not in check("wrong.yaml", "--show").stdout


def test_json(files: Path) -> None:
    result = check("right.yaml", "wrong.yaml", "nowhere.yaml", "--json")
    assert result.exit_code == 2
    right, wrong, nowhere = json.loads(result.stdout)
    assert right == {"file": "right.yaml", "kind": "pipeline file", "mistakes": []}
    assert len(wrong["mistakes"]) == 2
    assert nowhere["mistakes"] == ["can't be read: No such file or directory"]
    (shown,) = json.loads(check("right.yaml", "--json", "--show").stdout)
    assert shown["values"]["rec_topk"] == 3
