"""A store in PostgreSQL whose connections and locks are tampered with."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from serve_app.index.store import GalleryStore
from tests.index.databases import EVERY_TABLE
from tests.index.samples import build

from .administrator import administrator


@pytest.fixture
def pg_store(reused_url: str) -> Iterator[GalleryStore]:
    """With one gallery of one template."""
    with administrator(reused_url) as connection:
        connection.execute(f"TRUNCATE {EVERY_TABLE} CASCADE")
    store = GalleryStore(reused_url)
    build(store, count=1)
    yield store
    store.close()
