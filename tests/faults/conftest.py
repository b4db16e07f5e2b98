"""The shim, built once a session, and one that is attached to a directory of the test's own."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from .shim import Shim, build


@pytest.fixture(scope="session")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Skips the test where no compiler is installed, but not in CI, which installs it."""
    try:
        return build(tmp_path_factory.mktemp("shim"))
    except FileNotFoundError as error:
        if os.environ.get("CI") == "true":
            pytest.fail(str(error))
        pytest.skip(str(error))


@pytest.fixture
def shim(library: Path, tmp_path: Path) -> Shim:
    """Attached to the empty directory ``tmp_path / "disk"``."""
    disk = tmp_path / "disk"
    disk.mkdir()
    return Shim(library, disk, tmp_path)

