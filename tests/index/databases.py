"""Both databases for a test: ``both`` runs it on each."""

from __future__ import annotations

from pathlib import Path

import pytest

from serve_app.index.store import GalleryStore, sqlite_url
from serve_app.index.store.schema import metadata

EVERY_TABLE = ", ".join(f'"{table.name}"' for table in metadata.sorted_tables)
"""For TRUNCATE."""

both = pytest.mark.parametrize("database", ["sqlite", "postgresql"])


def new_url(database: str, request: pytest.FixtureRequest, directory: Path) -> str:
    """URL of an empty database with its schema. One PostgreSQL database a test."""
    if database == "sqlite":
        url = sqlite_url(directory / "galleries.sqlite")
    else:
        url = str(request.getfixturevalue("postgres_url"))
    GalleryStore(url, migrate=True).close()
    return url
