"""``face-serve db upgrade``: makes the schema, says which, and may be run again."""

from __future__ import annotations

import pytest

from serve_app.index.store import GalleryStore

from .commands import Commands


def test_sqlite(commands: Commands) -> None:
    output = commands.run("db", "upgrade")
    assert output.startswith("database schema: revision 000")
    assert commands.run("db", "upgrade") == output
    assert (commands.data_dir / "galleries.db").stat().st_mode & 0o777 == 0o600


def test_postgresql(commands: Commands, postgres_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FACE_SERVE_DATABASE_URL", postgres_url)
    commands.run("db", "upgrade")
    GalleryStore(postgres_url).close()
    assert commands.run("db", "upgrade").startswith("database schema: revision 000")
