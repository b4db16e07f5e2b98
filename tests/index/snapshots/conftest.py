"""Every place that snapshots may lie in, with a way past the storage."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from .places import Place, local_place, memory_place


@pytest.fixture(params=["directory", "file", "memory"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    if request.param == "memory":
        with memory_place(tmp_path) as place:
            yield place
    else:
        root = tmp_path / "snapshots"
        yield local_place(root, f"file://{root}" if request.param == "file" else str(root))
