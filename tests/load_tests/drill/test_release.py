from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from load_tests.drill.release import TOLD_IN, make_release, renamed


def test_a_release_is_the_package_with_another_version(tmp_path: Path) -> None:
    uri = make_release(tmp_path / "release.zip", "9.9.9")
    assert uri == f"file://{tmp_path}/release.zip"
    with zipfile.ZipFile(tmp_path / "release.zip") as archive:
        names = archive.namelist()
        assert 'version="9.9.9"' in archive.read(f"release/{TOLD_IN}").decode()
    assert "release/serve_app/__init__.py" in names
    assert {Path(name).parts[:2] for name in names} == {("release", "serve_app")}
    assert not [name for name in names if "__pycache__" in name]


def test_a_version_that_stands_nowhere_is_noticed() -> None:
    with pytest.raises(ValueError, match="0 versions"):
        renamed("app = FastAPI()", "9.9.9")
