"""Disks that are full and object stores that fail: nothing is published by halves."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from serve_app.index.snapshots import BadSnapshotError
from tests.index.shots import full_disk

from .places import CONTENT, NAME, Place, content_of, local_place, memory_place, publish


@pytest.fixture
def local(tmp_path: Path) -> Place:
    root = tmp_path / "snapshots"
    return local_place(root, str(root))


@pytest.mark.parametrize("largest", [0, 100, 1000])
def test_a_disk_that_is_full(local: Place, largest: int) -> None:
    with full_disk(largest), pytest.raises(OSError, match="File too large"):
        publish(local.storage)
    assert local.everything() == []
    assert local.unfinished() == []
    publish(local.storage)
    assert content_of(local.storage) == CONTENT


def test_a_disk_that_is_full_at_the_manifest(local: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    with local.storage.workspace() as folder:
        (folder / "vector.index").write_bytes(b"x")
        manifest = publish(local.storage, "other/1-0/x")
        with full_disk(100), pytest.raises(OSError, match="File too large"):
            local.storage.publish(folder, NAME, manifest)
    assert local.storage.names() == ["other/1-0/x"]
    assert local.unfinished() == []


@pytest.mark.parametrize("number", range(1, 6))
def test_each_sync_may_fail(local: Place, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    """Whoever publishes is told; the snapshot is there whole or not at all."""
    calls: list[int] = []
    sync = os.fsync

    def failing(descriptor: int) -> None:
        calls.append(descriptor)
        if len(calls) == number:
            raise OSError(errno.EIO, "Input/output error")
        sync(descriptor)

    monkeypatch.setattr(os, "fsync", failing)
    with pytest.raises(OSError, match="Input/output error"):
        publish(local.storage)
    assert len(calls) == number
    if local.storage.names():
        assert content_of(local.storage) == CONTENT
    else:
        with pytest.raises(FileNotFoundError):
            content_of(local.storage)
    assert local.unfinished() == []


class RefusedError(Exception):
    """What clients of object stores raise: no OSError, and the text tells too much."""


def failing_at(
    number: int, error: Exception, then: Callable[..., Any]
) -> tuple[Callable[..., Any], list[int]]:
    calls: list[int] = []

    def call(*arguments: Any, **options: Any) -> Any:
        calls.append(1)
        if len(calls) >= number:
            raise error
        return then(*arguments, **options)

    return call, calls


ERRORS = [OSError(errno.ENOSPC, "No space left"), RefusedError("https://user:secret@host")]


@pytest.mark.parametrize("error", ERRORS, ids=["OSError", "Refused"])
@pytest.mark.parametrize(("method", "number"), [("put_file", 1), ("put_file", 2), ("pipe_file", 1)])
def test_an_upload_that_breaks_off(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    method: str,
    number: int,
    error: Exception,
) -> None:
    with memory_place(tmp_path) as place:
        call, _ = failing_at(number, error, getattr(place.files, method))
        with monkeypatch.context() as patch:
            patch.setattr(place.storage._files, method, call)
            with pytest.raises(OSError) as caught:
                publish(place.storage)
        assert "secret" not in str(caught.value)
        with pytest.raises((BadSnapshotError, FileNotFoundError)):
            content_of(place.storage)
        place.storage.remove_foreign(NAME, -1)  # swept as one that nobody knows
        assert place.everything() == []
        assert place.unfinished() == []


@pytest.mark.parametrize("error", ERRORS, ids=["OSError", "Refused"])
@pytest.mark.parametrize("method", ["cat_file", "get_file", "find", "rm_file", "rm"])
def test_a_store_that_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, method: str, error: Exception
) -> None:
    """It can't be read now, which is not to say that the snapshot is bad."""
    with memory_place(tmp_path) as place:
        publish(place.storage)
        calls: dict[str, Callable[[], object]] = {
            "cat_file": lambda: content_of(place.storage),
            "get_file": lambda: content_of(place.storage),
            "find": place.storage.names,
            "rm_file": lambda: place.storage.remove(NAME),
            "rm": lambda: place.storage.remove(NAME),
        }
        call, count = failing_at(1, error, getattr(place.files, method))
        with monkeypatch.context() as patch:
            patch.setattr(place.storage._files, method, call)
            with pytest.raises(OSError) as caught:
                calls[method]()
        assert count
        assert not isinstance(caught.value, FileNotFoundError)
        assert "secret" not in str(caught.value)
        assert place.unfinished() == []
        if method == "rm":  # half a removal is no snapshot
            with pytest.raises(BadSnapshotError, match=r"manifest\.json is missing"):
                content_of(place.storage)
        else:
            assert content_of(place.storage) == CONTENT
