"""``face-serve backup`` and ``restore``."""

from __future__ import annotations

from pathlib import Path

import pytest

from serve_app.errors import ConfigError, GalleryExistsError, InvalidRequestError
from serve_app.index.store import GalleryStore
from tests.index.samples import build

from .commands import Commands


@pytest.fixture
def file(commands: Commands, tmp_path: Path) -> Path:
    store = commands.store()
    build(store, "staff", 3)
    build(store, "guests", 1)
    store.close()
    output = commands.run("backup", str(tmp_path / "my.backup"))
    assert output == "backed up: 2 galleries, 4 templates, checked\n"
    return tmp_path / "my.backup"


def test_restore_into_an_empty_directory(file: Path, tmp_path: Path) -> None:
    other = Commands(tmp_path / "new")
    assert other.run("restore", str(file)) == "restored: 2 galleries, 4 templates, checked\n"
    assert "staff" in other.run("gallery", "list")


def test_restore_in_place(file: Path, commands: Commands) -> None:
    with pytest.raises(GalleryExistsError, match="--replace"):
        commands.run("restore", str(file))
    assert "2 galleries" in commands.run("restore", str(file), "--replace")


def test_backup_again(file: Path, commands: Commands) -> None:
    with pytest.raises(InvalidRequestError, match="--force"):
        commands.run("backup", str(file))
    assert "2 galleries" in commands.run("backup", str(file), "--force")


def test_no_backup(commands: Commands, tmp_path: Path) -> None:
    (tmp_path / "mine").write_bytes(b"no backup" * 1000)
    with pytest.raises(ConfigError, match=r"^mine is damaged or is no SQLite database"):
        commands.run("restore", str(tmp_path / "mine"))


def test_restore_into_postgresql(
    file: Path, commands: Commands, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FACE_SERVE_DATABASE_URL", postgres_url)
    with pytest.raises(ConfigError, match="db upgrade"):
        commands.run("restore", str(file))
    commands.run("db", "upgrade")
    assert "2 galleries" in commands.run("restore", str(file))
    store = GalleryStore(postgres_url)
    assert store.describe(["staff"])["staff"].size == 3
    store.close()
