"""Must hold 3: accuracy on real photographs, by the command that anyone can run on their own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from serve_app.config import PipelineConfig, default_cache_dir
from serve_app.pipeline import open_pipeline

ROOT = Path(__file__).parents[1]
FACES = ROOT.parent / "shared" / "faces"
needs_faces = pytest.mark.skipif(
    not FACES.exists(), reason="the photographs are in ../shared/faces, which is not here"
)


def evaluate(*options: str) -> Any:
    command = [str(Path(sys.executable).parent / "face-serve"), "evaluate", str(FACES), "--json"]
    run = subprocess.run([*command, *options], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout)


@needs_faces
@pytest.mark.models
@pytest.mark.timeout(600)
def test_embedded_default(capsys: pytest.CaptureFixture[str]) -> None:
    result = evaluate()
    pairs, search = result["verification"], result["identification"]
    with capsys.disabled():
        print(f"\nembedded default: {pairs}, {search}")
    assert pairs["accuracy"] >= 0.997
    assert pairs["ten_fold_accuracy"] >= 0.995
    assert search["rank1"] >= 0.98 * search["probes"]
    assert search["accepted_strangers"] == 3
    assert search["recognised"] >= 661


@needs_faces
@pytest.mark.models
@pytest.mark.timeout(600)
def test_mirrored(capsys: pytest.CaptureFixture[str]) -> None:
    result = evaluate("--pipeline", str(ROOT / "configs/pipeline/mirror.yaml"))
    search = result["identification"]
    with capsys.disabled():
        print(f"\nmirrored: {result['verification']}, {search}")
    assert search["accepted_strangers"] == 3
    assert search["recognised"] >= 0.96 * search["probes"]


@needs_faces
@pytest.mark.models
def test_group_photograph_has_six_faces() -> None:
    pipeline = open_pipeline(PipelineConfig(), default_cache_dir(os.environ))
    assert len(pipeline.detect((FACES / "scenes/six_friends.jpg").read_bytes())) == 6
