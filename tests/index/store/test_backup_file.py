"""Reading a backup: nothing touches it, and anything that is none is refused by name."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from serve_app.errors import ConfigError, UnavailableError
from serve_app.index.store import GalleryStore, sqlite_url
from serve_app.index.store.backup_file import BackupFile, seal
from tests.index.samples import build, embeddings, raw


@pytest.fixture
def sealed(tmp_path: Path) -> Path:
    """A sealed store with one gallery, alone in its directory."""
    file = tmp_path / "alone" / "a b%20?#.backup"
    store = GalleryStore(sqlite_url(file))
    build(store, count=300)
    store.close()
    seal(file)
    file.with_name(file.name + ".lock").unlink()
    return file


def test_it_is_read_and_not_touched(sealed: Path) -> None:
    before = sealed.read_bytes()
    sealed.chmod(0o400)
    store = BackupFile(sealed)
    assert store.describe(["staff"])["staff"].size == 300
    assert [path.name for path in sealed.parent.iterdir()] == [sealed.name]
    with pytest.raises(UnavailableError):
        store.add("staff", ["x"], embeddings(1), with_labels=False)
    store.close()
    assert sealed.read_bytes() == before
    assert [path.name for path in sealed.parent.iterdir()] == [sealed.name]


def test_truncated_at_any_page(sealed: Path) -> None:
    content = sealed.read_bytes()
    for end in (0, 50, 100, 4095, 4096, 8192, len(content) // 2, len(content) - 1):
        sealed.write_bytes(content[:end])
        with pytest.raises(ConfigError, match=r"^a b%20\?#.backup (is damaged|is no backup)"):
            BackupFile(sealed)


def test_garbage_and_foreign_databases(tmp_path: Path) -> None:
    file = tmp_path / "mine.db"
    file.write_bytes(b"no database at all" * 1000)
    with pytest.raises(ConfigError, match=r"^mine.db is damaged or is no SQLite database"):
        BackupFile(file)
    file.unlink()
    with sqlite3.connect(file) as connection:
        connection.execute("CREATE TABLE gallery (id)")
    with pytest.raises(ConfigError, match=r"^mine.db is no backup of this service"):
        BackupFile(file)
    for missing in (tmp_path / "none", tmp_path):
        with pytest.raises(ConfigError, match=f"^{missing.name} is not there or is no file"):
            BackupFile(missing)


def test_another_version(sealed: Path) -> None:
    with raw(sealed) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(ConfigError, match="another version of this service"):
        BackupFile(sealed)


@pytest.mark.parametrize("suffix", ["-wal", "-journal"])
def test_one_that_is_in_use(suffix: str, sealed: Path) -> None:
    sealed.with_name(sealed.name + suffix).write_bytes(b"log")
    with pytest.raises(ConfigError, match="was not closed, or is in use"):
        BackupFile(sealed)


def test_what_cannot_be_sealed(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"no database at all" * 1000)
    with pytest.raises(UnavailableError, match="can't be finished"):
        seal(tmp_path / "x")


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE gallery SET state = 'peady'",
        "ALTER TABLE gallery RENAME COLUMN state TO spate",
        "ALTER TABLE snapshot RENAME TO snapshop",
    ],
)
def test_one_bit_of_a_state_or_of_the_schema(sealed: Path, damage: str) -> None:
    """Or a gallery would be missing from what is restored, and nobody told."""
    with raw(sealed) as connection:
        connection.execute(damage)
    with pytest.raises(ConfigError, match="is damaged"):
        BackupFile(sealed)
