"""``face-serve gallery erase-check``: what it says, where it looks, how it ends."""

from __future__ import annotations

from pathlib import Path

import pytest

from serve_app.index.store import GalleryStore
from serve_app.types import Receipt
from tests.index.samples import build

from .commands import Commands


@pytest.fixture
def staff(commands: Commands, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Commands:
    monkeypatch.setattr("tempfile.gettempdir", lambda: str(tmp_path / "tmp"))  # not Ray's own logs
    store = commands.store()
    build(store)
    store.close()
    return commands


def kept_in(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody writes every label that is added into ``file``."""
    add = GalleryStore.add

    def watched(store: GalleryStore, key: str, labels: list[str], *rest, **options) -> Receipt:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("\n".join(labels), encoding="utf-8")
        return add(store, key, labels, *rest, **options)

    monkeypatch.setattr(GalleryStore, "add", watched)


def test_nothing_left(staff: Commands) -> None:
    output = staff.run("gallery", "erase-check", "staff")
    assert output.endswith("bytes scanned: nothing left\n")
    store = staff.store()
    assert store.describe(["staff"])["staff"].size == 3
    store.close()


@pytest.mark.parametrize("place", ["data/snapshots/x", "data/logs/x", "tmp/ray/session/logs/x"])
def test_what_is_left(
    place: str, staff: Commands, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept_in(tmp_path / place, monkeypatch)
    result = staff.invoke("gallery", "erase-check", "staff", "--wait", "0")
    assert result.exit_code == 1
    assert f"{tmp_path / place}  label" in result.output
    assert "erase-check-" not in result.output


def test_backups_are_named_with_also(
    staff: Commands, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept_in(tmp_path / "elsewhere" / "x", monkeypatch)
    staff.run("gallery", "erase-check", "staff", "--wait", "0")
    result = staff.invoke(
        "gallery", "erase-check", "staff", "--wait", "0", "--also", str(tmp_path / "elsewhere")
    )
    assert result.exit_code == 1
    missing = staff.invoke("gallery", "erase-check", "staff", "--also", str(tmp_path / "none"))
    assert missing.exit_code == 2


def test_of_postgresql_it_says_what_it_does_not_know(
    staff: Commands, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FACE_SERVE_DATABASE_URL", postgres_url)
    assert "revision 000" in staff.run("db", "upgrade")
    store = GalleryStore(postgres_url)
    build(store, "theirs")
    store.close()
    output = staff.run("gallery", "erase-check", "theirs")
    assert "nothing left" in output
    assert "VACUUM FULL" in output
    assert "docs/erasure.md" in output
