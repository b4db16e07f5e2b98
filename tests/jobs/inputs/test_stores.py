"""Connections to stores: within time limits, and said plainly where a package is missing. What
s3fs does with a server is in ``test_opening``."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from serve_app.config import FetchConfig
from serve_app.errors import InvalidRequestError
from serve_app.jobs.inputs.files import Files
from serve_app.jobs.inputs.stores import CONNECT, gs_files, local_files, s3_files, web_files


def test_local(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"a")
    assert local_files().cat_file(f"{tmp_path}/a") == b"a"


def test_every_client_gives_up() -> None:
    """Botocore's own limits are minutes, aiohttp's five of them."""
    pytest.importorskip("s3fs")
    files = s3_files()
    assert files.config_kwargs["connect_timeout"] <= 10
    assert files.config_kwargs["read_timeout"] <= 30
    assert files.retries <= 2
    timeout = web_files().client_kwargs["timeout"]
    assert (timeout.connect, timeout.total) == (5, None)
    assert timeout.sock_read <= 30


def test_nothing_else_is_connected_to() -> None:
    assert set(CONNECT) == {"", "s3", "gs", "http", "https"}


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "gcsfs", None)
    found = Files(FetchConfig(), None, {**CONNECT, "gs": gs_files})
    with pytest.raises(InvalidRequestError, match=r"needs the package gcsfs: .*face-serve\[gcs\]"):
        found.facts("gs://bucket/a")
