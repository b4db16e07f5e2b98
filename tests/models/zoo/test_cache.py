from __future__ import annotations

import json
from pathlib import Path

import pytest

from serve_app.errors import ModelError
from serve_app.models.zoo.archive import digest_of
from serve_app.models.zoo.cache import ModelCache, Record

DIGESTS = ["ab" * 32, "cd" * 32]


@pytest.fixture
def cache(tmp_path: Path) -> ModelCache:
    return ModelCache(tmp_path / "cache")


def store(cache: ModelCache, digest: str, weights: bytes = b"w") -> Path:
    unpacked = cache.root / "unpacking"
    unpacked.mkdir(parents=True)
    (unpacked / "inference.pdiparams").write_bytes(weights)
    files = {"inference.pdiparams": digest_of(unpacked / "inference.pdiparams")}
    return cache.store(unpacked, Record("BlazeFace", digest, files))


def test_nothing_there_and_nothing_made(cache: ModelCache) -> None:
    assert cache.record("BlazeFace") is None
    assert cache.installed("BlazeFace") is None
    assert not cache.root.parent.exists()


def test_what_was_stored(cache: ModelCache) -> None:
    directory = store(cache, DIGESTS[0])
    assert cache.installed("BlazeFace") == directory
    assert directory.name == "BlazeFace-abababababab"
    record = ModelCache(cache.root.parent).record("BlazeFace")
    assert record is not None
    assert record.archive_sha256 == DIGESTS[0]
    assert record.files.keys() == {"inference.pdiparams"}
    assert cache.installed("BlazeFace-FPN-SSH") is None


@pytest.mark.parametrize("damage", ["changed", "gone", "directory gone"])
def test_files_that_changed_are_not_installed(damage: str, cache: ModelCache) -> None:
    file = store(cache, DIGESTS[0]) / "inference.pdiparams"
    if damage == "changed":
        file.write_bytes(b"x")
    else:
        file.unlink()
    if damage == "directory gone":
        file.parent.rmdir()
    assert cache.installed("BlazeFace") is None
    assert cache.record("BlazeFace") is not None  # the digest stays known
    assert store(cache, DIGESTS[0]) == cache.installed("BlazeFace")


def test_another_version_takes_the_place(cache: ModelCache) -> None:
    before, after = store(cache, DIGESTS[0]), store(cache, DIGESTS[1], b"v")
    assert cache.installed("BlazeFace") == after
    assert not before.exists()


def test_a_version_counts_when_the_record_says_so(
    cache: ModelCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The process dies between moving the directory and writing the record."""
    before = store(cache, DIGESTS[0])

    def die(record: Record) -> None:
        raise OSError("no space left")

    monkeypatch.setattr(cache, "_write", die)
    with pytest.raises(OSError, match="no space"):
        store(cache, DIGESTS[1], b"v")
    assert cache.installed("BlazeFace") == before
    monkeypatch.undo()
    assert store(cache, DIGESTS[1], b"v") == cache.installed("BlazeFace")


@pytest.mark.parametrize("content", ["", "{", "[]", json.dumps({"files": {}})])
def test_a_record_that_can_not_be_read_is_not_forgotten(content: str, cache: ModelCache) -> None:
    cache.root.mkdir(parents=True)
    (cache.root / "BlazeFace.json").write_text(content, encoding="utf-8")
    with pytest.raises(ModelError, match=r"models/BlazeFace\.json in the cache can't be read"):
        cache.installed("BlazeFace")
