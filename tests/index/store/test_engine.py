"""Which database a URL names, and what is said of a URL that names none."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy.engine import make_url

from serve_app.errors import ConfigError
from serve_app.index.store import sqlite_url
from serve_app.index.store.engine import open_engine, parse_url, revisions


@pytest.mark.parametrize(
    ("url", "advice"),
    [
        ("", "sqlite:///FILE"),
        ("galleries.sqlite", "sqlite:///FILE"),
        ("mysql://operator:secret@host/galleries", "only SQLite and PostgreSQL"),
        ("nonsense://operator:secret@host/galleries", "only SQLite and PostgreSQL"),
        ("postgresql://operator:secret@host", "name the database"),
        ("postgres://operator:secret@host/", "name the database"),
        ("postgresql://operator:secret@host:port/galleries", "postgresql://USER@HOST/DATABASE"),
        ("sqlite://", "name a file"),
        ("sqlite:///:memory:", "name a file"),
    ],
)
def test_other_urls_are_refused(url: str, advice: str) -> None:
    with pytest.raises(ConfigError, match=r"^database_url: ") as caught:
        open_engine(url)
    assert advice in str(caught.value)
    for part in ("secret", "operator", "@host"):
        assert part not in str(caught.value)
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg"])
def test_postgresql_has_one_driver(scheme: str) -> None:
    parsed = parse_url(f"{scheme}://operator:s%40cret@db.example:5433/galleries?sslmode=require")
    assert parsed == make_url(
        "postgresql+psycopg://operator:s%40cret@db.example:5433/galleries?sslmode=require"
    )


def test_a_file_with_any_name_is_named(tmp_path: Path) -> None:
    for name in ("a b.sqlite", "50%.db", "what?mode=ro", "#1", "a:b@c"):
        assert parse_url(sqlite_url(tmp_path / name)).database == str(tmp_path / name)


def test_a_new_database_has_the_newest_revision(database_url: str) -> None:
    engine = open_engine(database_url)
    found, newest = revisions(engine)
    assert found == newest
    engine.dispose()
