"""Commands beside no Serve file and with nothing in the environment."""

from __future__ import annotations

from pathlib import Path

import pytest

from .commands import Commands


@pytest.fixture
def commands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Commands:
    (tmp_path / "cwd").mkdir()
    (tmp_path / "data").mkdir()
    monkeypatch.chdir(tmp_path / "cwd")
    monkeypatch.delenv("FACE_SERVE_DATABASE_URL", raising=False)
    return Commands(tmp_path / "data")
