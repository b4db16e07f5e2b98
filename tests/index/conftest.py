"""Stores in databases of their own, SQLite or both; both journal modes; one FAISS thread."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import faiss
import pytest

from serve_app.index.gallery import set_faiss_threads
from serve_app.index.store import GalleryStore

from .databases import new_url


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "galleries.sqlite"


@pytest.fixture
def url(file: Path) -> str:
    return f"sqlite:///{file}"


@pytest.fixture
def store(url: str) -> Iterator[GalleryStore]:
    store = GalleryStore(url)
    yield store
    store.close()


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty database with its schema: what is tested with it holds on both."""
    return new_url(str(request.param), request, tmp_path)


@pytest.fixture
def any_store(database_url: str) -> Iterator[GalleryStore]:
    store = GalleryStore(database_url)
    yield store
    store.close()


@pytest.fixture(params=["WAL", "DELETE"])
def journal(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Both journal modes, whichever this machine's SQLite would get."""
    mode = str(request.param)
    monkeypatch.setattr("serve_app.index.store.sqlite.journal_mode", lambda version: mode)
    return mode


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Several FAISS threads on cores that others use too spin at their barriers for seconds."""
    before = faiss.omp_get_max_threads()
    set_faiss_threads(1)
    yield
    set_faiss_threads(before)
