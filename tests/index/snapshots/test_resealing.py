from __future__ import annotations

import pytest

from serve_app.encryption.files import FileSeal
from serve_app.index.snapshots.manifest import BadSnapshotError
from serve_app.index.snapshots.resealing import reseal_snapshot
from tests.encryption.samples import data_key

from .places import CONTENT, NAME, Place, publish

BEFORE, AFTER = FileSeal(data_key(version=1), b"it"), FileSeal(data_key(version=2), b"it")


@pytest.fixture
def published(place: Place) -> str:
    publish(place.storage)
    return NAME


def content(place: Place, name: str, seal: FileSeal | None) -> dict[str, bytes]:
    found = {}
    with place.storage.opened(name) as (folder, manifest):
        assert manifest.key_version == (None if seal is None else seal.key.version)
        for file in manifest.files:
            with (folder / file).open("rb") as stream:
                found[file] = (
                    stream.read() if seal is None else seal.reader(stream, file).read_all()
                )
    return found


def test_plain_then_sealed_then_by_another_key(place: Place, published: str) -> None:
    reseal_snapshot(place.storage, published, f"{NAME}-k1", None, BEFORE)
    reseal_snapshot(place.storage, f"{NAME}-k1", f"{NAME}-k2", BEFORE, AFTER)
    assert content(place, published, None) == CONTENT
    assert content(place, f"{NAME}-k1", BEFORE) == CONTENT
    assert content(place, f"{NAME}-k2", AFTER) == CONTENT
    assert b"labelslabels" not in place.read(f"{NAME}-k2/templates.npz")
    assert place.unfinished() == []


def test_with_another_key_nothing_is_published(place: Place, published: str) -> None:
    reseal_snapshot(place.storage, published, f"{NAME}-k1", None, BEFORE)
    with pytest.raises(BadSnapshotError, match="can't be opened with its key"):
        reseal_snapshot(place.storage, f"{NAME}-k1", f"{NAME}-k2", AFTER, AFTER)
    assert f"{NAME}-k2" not in place.storage.names()
    assert place.unfinished() == []
