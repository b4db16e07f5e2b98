"""``face-serve index inspect``."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from serve_app import IndexData
from serve_app.cli.main import app
from serve_app.types import Embeddings, Metric

from .processes import run

PADDLEX = Path(__file__).parents[1] / "index" / "data" / "paddlex" / "paddlex343_flat_ip"


@pytest.fixture
def staff(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    vectors = np.eye(8, dtype=np.float32)[:3]
    made = IndexData.build("IVF", Metric.L2, ["Ann", "Ann", "张伟"], Embeddings("m@1", vectors))
    made.remove([0])
    made.save("staff")
    return tmp_path / "staff"


def inspect(*arguments: str) -> str:
    result = CliRunner().invoke(app, ["index", "inspect", *arguments])
    assert result.exit_code == 0, result.output
    return result.stdout


def test_text(staff: Path) -> None:
    shown = dict(line.split("  ", 1) for line in inspect("staff").splitlines())
    facts = {name: value.strip() for name, value in shown.items()}
    assert facts.pop("files").startswith("face_serve.json (")
    assert facts.pop("checks").startswith("passed: counts, ids and labels")
    assert facts == {
        "directory": "staff", "index type": "IVF", "metric type": "L2", "templates": "2",
        "people": "2", "dimension": "8", "model": "m@1", "next id": "3",
    }  # fmt: skip


def test_templates(staff: Path) -> None:
    assert inspect("staff", "--templates").splitlines()[-4:] == [
        "id  label", "--  -----", "1   Ann", "2   张伟",
    ]  # fmt: skip


def test_json(staff: Path) -> None:
    found = json.loads(inspect("staff", "--json"))
    assert set(found["files"]) == {"face_serve.json", "id_map.yaml", "vector.index"}
    assert "digests" in found["checks"]
    assert "id_map" not in found
    listed = json.loads(inspect("staff", "--json", "--templates"))
    assert listed["id_map"] == {"1": "Ann", "2": "张伟"}


def test_of_paddlex_the_model_is_unknown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(PADDLEX, tmp_path / "theirs")
    monkeypatch.chdir(tmp_path)
    assert "model        unknown: there is no face_serve.json" in inspect("theirs")
    found = json.loads(inspect("theirs", "--json"))
    assert (found["model"], found["dimension"]) == (None, 128)
    assert "digests" not in found["checks"]


def test_files_that_disagree(staff: Path) -> None:
    content = (staff / "id_map.yaml").read_text(encoding="utf-8")
    (staff / "id_map.yaml").write_text(content.replace("Ann", "Bob"), encoding="utf-8")
    result = run("index", "inspect", "staff", cwd=staff.parent)
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr.startswith("face-serve: ")
    assert "id_map.yaml" in result.stderr
    assert len(result.stderr.splitlines()) == 1
