"""The shim, built once a session, and one that is attached to a directory of the test's own."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from serve_app.index.store import sqlite

from .shim import Shim, build


@pytest.fixture(scope="session")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Skips the test where no compiler is installed, but not in CI, which installs it."""
    try:
        return build(tmp_path_factory.mktemp("shim"))
    except FileNotFoundError as error:
        if os.environ.get("CI") == "true":
            pytest.fail(str(error))
        pytest.skip(str(error))


@pytest.fixture
def shim(library: Path, tmp_path: Path) -> Shim:
    """Attached to the empty directory ``tmp_path / "disk"``."""
    disk = tmp_path / "disk"
    disk.mkdir()
    return Shim(library, disk, tmp_path)


@pytest.fixture(params=["WAL", "DELETE"])
def journal(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Both of SQLite's journal modes: an argument for a writer, and set in this process."""
    mode = str(request.param)
    monkeypatch.setattr(sqlite, "journal_mode", lambda version: mode)
    return mode
