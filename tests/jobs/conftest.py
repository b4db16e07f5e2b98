"""Stores of jobs, each test's own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from serve_app.index.store import GalleryStore, sqlite_url
from serve_app.index.store.job_store import JobStore


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "galleries.sqlite"


@pytest.fixture
def store(file: Path) -> Iterator[GalleryStore]:
    """It gives up at once where its file is locked."""
    store = GalleryStore(sqlite_url(file), busy_timeout_s=0.05, patience_s=0)
    yield store
    store.close()


@pytest.fixture
def jobs(store: GalleryStore) -> JobStore:
    return JobStore(store)
