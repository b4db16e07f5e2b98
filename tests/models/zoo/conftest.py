from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.models.zoo.archive_server import ArchiveServer, archive_server


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[ArchiveServer]:
    """Reached directly, whatever proxy this machine has."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.delenv("FACE_SERVE_MODEL_MIRROR", raising=False)
    with archive_server() as archive:
        yield archive
