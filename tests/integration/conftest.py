"""One cluster a session, started as a user starts it, in a directory with a short path."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.integration.guarded import content as guarded_content
from tests.integration.service import Service


@pytest.fixture(scope="session")
def service() -> Iterator[Service]:
    yield from _running()


@pytest.fixture(scope="session")
def guarded() -> Iterator[Service]:
    """One that asks for keys, where a test needs it."""
    yield from _running(guarded_content)


def _running(content: Callable[[Path], dict[str, Any]] | None = None) -> Iterator[Service]:
    directory = Path(tempfile.mkdtemp(prefix="fs-", dir="/tmp"))
    running = Service(directory, content)
    try:
        running.start()
        yield running
    finally:
        running.stop()
        closed, left = running.is_closed(), running.left_behind
        shutil.rmtree(directory, ignore_errors=True)
    assert closed, "a port is still open: an orphaned haproxy?"
    assert not left, "processes outlived the service"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "/integration/" in str(item.path):
            item.add_marker(pytest.mark.integration)
