"""Stores in databases of their own, SQLite or both; both journal modes; one FAISS thread."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import faiss
import pytest
from sqlalchemy import create_engine, text

from serve_app.encryption import Vault
from serve_app.index.gallery import set_faiss_threads
from serve_app.index.store import GalleryStore
from tests.index.databases import EVERY_TABLE
from tests.index.vaults import new_vault
from tests.postgresql import PostgresServer


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


@pytest.fixture(scope="session")
def reused_url(shared_postgres: PostgresServer) -> Iterator[str]:
    """Of a PostgreSQL database with its schema: to make one for each test takes half a second."""
    with shared_postgres.database() as url:
        GalleryStore(url, migrate=True).close()
        yield url


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, url: str) -> str:
    """An empty database with its schema: what is tested with it holds on both.

    Change its rows only; for a PostgreSQL database of the test's own ask for ``postgres_url``.
    """
    if request.param == "sqlite":
        GalleryStore(url).close()
        return url
    reused = str(request.getfixturevalue("reused_url"))
    engine = create_engine(reused)
    with engine.begin() as connection:
        connection.execute(text("SET LOCAL lock_timeout = '10s'"))
        connection.execute(text(f"TRUNCATE {EVERY_TABLE} CASCADE"))
    engine.dispose()
    return reused


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if getattr(metafunc.module, "PLAIN_AND_SEALED", False) and "sealed" in metafunc.fixturenames:
        metafunc.parametrize("sealed", [False, True], ids=["plain", "sealed"])


@pytest.fixture
def sealed() -> bool:
    """Whether what is written is encrypted."""
    return False


@pytest.fixture
def vault(sealed: bool) -> Vault | None:
    return new_vault() if sealed else None


@pytest.fixture
def any_store(database_url: str, vault: Vault | None) -> Iterator[GalleryStore]:
    store = GalleryStore(database_url, vault=vault)
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
