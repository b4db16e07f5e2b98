"""Snapshots of an encrypted gallery: sealed, loaded, refused where they were changed, rotated."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import pytest

from serve_app.encryption import UnreadableError
from serve_app.encryption.files import FileSeal
from serve_app.index.loading import Loader
from serve_app.index.snapshots import SnapshotStorage
from serve_app.index.snapshots.manifest import decoded, file_facts
from serve_app.index.store import GalleryStore
from serve_app.index.store.encryption_store import EncryptionStore
from serve_app.index.upkeep import builder, rotating
from serve_app.index.upkeep.builder import BuildOrder
from serve_app.types import Metric, Shard
from tests.encryption.samples import data_key
from tests.index.samples import build, embeddings, info_of, vectors
from tests.index.shots import shoot
from tests.index.vaults import MASTER, SOURCE, VARIABLE, new_vault

KEY = "acme/staff"
WHOLE = Shard()
NAMES = [f"person number {number}" for number in range(40)]


@pytest.fixture(params=["Flat", "HNSW32", "IVF"])
def index_type(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def store(url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[GalleryStore]:
    monkeypatch.setattr("serve_app.index.store.encryption_store.GRACE_S", 0)
    store = GalleryStore(url, vault=new_vault())
    yield store
    store.close()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "snapshots"


@pytest.fixture
def storage(folder: Path) -> SnapshotStorage:
    return SnapshotStorage(str(folder))


def enrol(store: GalleryStore, index_type: str = "Flat") -> None:
    store.create(KEY, index_type, Metric.IP, NAMES, embeddings(40), with_labels=False)


def files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def loaded_from_snapshot(store: GalleryStore, storage: SnapshotStorage) -> bool:
    loaded = Loader(store, WHOLE, storage).load(info_of(store, KEY))
    (found,) = loaded.index.search(vectors(40)[7:8], 1)
    assert found[0].label == NAMES[7]
    return loaded.snapshot is not None


def test_a_snapshot_tells_nothing_and_loads(
    store: GalleryStore, storage: SnapshotStorage, folder: Path, index_type: str
) -> None:
    enrol(store, index_type)
    shot = shoot(store, storage, KEY)
    assert shot.name.endswith("-k1")
    content = b"".join(file.read_bytes() for file in files(folder))
    assert b"person" not in content
    for vector in vectors(40):
        assert vector.tobytes()[:8] not in content
    assert loaded_from_snapshot(store, storage)


def test_a_process_of_its_own_seals_too(
    store: GalleryStore,
    storage: SnapshotStorage,
    folder: Path,
    url: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    enrol(store)
    monkeypatch.setenv(VARIABLE, MASTER)
    order = BuildOrder(url, str(folder), KEY, info_of(store, KEY).generation, 0, 1, 1, (SOURCE,))
    process = builder.start(order)
    complaint = process.communicate()[1]
    assert (process.returncode, complaint) == (builder.BUILT, b"")
    assert store.every_snapshot()[0].key_version == 1
    assert loaded_from_snapshot(store, storage)

    without = dataclasses.replace(order, key_sources=())
    process = builder.start(without)
    assert b"is encrypted" in process.communicate()[1]
    assert process.returncode == builder.FAILED


def test_a_plain_snapshot_in_the_place_of_a_sealed_one_is_refused(
    store: GalleryStore, storage: SnapshotStorage, folder: Path
) -> None:
    enrol(store)
    shot = shoot(store, storage, KEY)
    manifest = decoded((folder / shot.name / "manifest.json").read_bytes())
    plain = dataclasses.replace(manifest, key_version=None)
    (folder / shot.name / "manifest.json").write_bytes(plain.encoded())
    assert not loaded_from_snapshot(store, storage)
    assert store.every_snapshot() == []


@pytest.mark.parametrize("which", ["vector.index", "templates.npz"])
def test_what_was_changed_with_its_digest_is_refused(
    store: GalleryStore, storage: SnapshotStorage, folder: Path, which: str
) -> None:
    """By someone who can write there, and make a manifest that fits."""
    enrol(store)
    shot = shoot(store, storage, KEY)
    place = folder / shot.name
    changed = bytearray((place / which).read_bytes())
    changed[-40] ^= 1
    (place / which).write_bytes(changed)
    manifest = decoded((place / "manifest.json").read_bytes())
    facts = file_facts(place, list(manifest.files))
    (place / "manifest.json").write_bytes(dataclasses.replace(manifest, files=facts).encoded())
    assert not loaded_from_snapshot(store, storage)


def test_rotation_seals_snapshots_anew(
    store: GalleryStore, storage: SnapshotStorage, folder: Path
) -> None:
    enrol(store)
    before = shoot(store, storage, KEY)
    done = rotating.rotate(store, storage, "acme")
    assert dataclasses.astuple(done) == (2, 1, 0, [1])
    (after,) = store.every_snapshot()
    assert (after.key_version, after.seq, after.created_at) == (2, before.seq, before.created_at)
    assert storage.names() == [after.name]
    assert loaded_from_snapshot(store, storage)


def test_what_is_plain_is_sealed_without_a_new_key(url: str, storage: SnapshotStorage) -> None:
    plain = GalleryStore(url)
    build(plain, KEY)
    shoot(plain, storage, KEY)
    plain.close()
    store = GalleryStore(url, vault=new_vault())
    done = rotating.rotate(store, storage, "acme", new_version=False)
    assert dataclasses.astuple(done) == (1, 1, 0, [])
    assert rotating.rotate(store, storage, "acme", new_version=False).snapshots == 0
    state = EncryptionStore(store).state("acme")
    assert (state.rows, state.snapshots) == ({1: 3}, {1: 1})
    store.close()


def test_a_snapshot_of_another_node_is_given_up(store: GalleryStore, tmp_path: Path) -> None:
    enrol(store)
    shoot(store, SnapshotStorage(str(tmp_path / "elsewhere")), KEY)
    here = SnapshotStorage(str(tmp_path / "here"))
    done = rotating.rotate(store, here, "acme")
    assert (done.snapshots, done.left, done.retired) == (0, 1, [1])
    assert store.every_snapshot() == []
    assert not loaded_from_snapshot(store, here)


def test_an_erased_tenants_snapshots_are_unreadable_with_the_master_key(
    store: GalleryStore, storage: SnapshotStorage, folder: Path, url: str
) -> None:
    enrol(store)
    shot = shoot(store, storage, KEY)
    copies = {file.name: file.read_bytes() for file in files(folder)}
    EncryptionStore(store).erase_keys("acme")
    again = GalleryStore(url, vault=new_vault())
    assert EncryptionStore(again).wrapped_keys() == []
    with pytest.raises(Exception, match="can't be read any more"):
        again.snapshot_seal(KEY, shot)
    again.close()
    guess = FileSeal(data_key("acme", 1), shot.context)
    for name in ("vector.index", "templates.npz"):
        (folder / name).write_bytes(copies[name])
        with (folder / name).open("rb") as stream, pytest.raises(UnreadableError):
            guess.reader(stream, name).read_all()


def test_a_build_that_ends_after_its_key_was_deleted_is_not_told_of(
    store: GalleryStore, storage: SnapshotStorage
) -> None:
    enrol(store)
    shot = shoot(store, storage, KEY)
    rotating.rotate(store, storage, "acme")
    assert not store.register(dataclasses.replace(shot, name=shot.name.replace("-k1", "x-k1")))


def test_nothing_plain_is_written_on_the_way(store: GalleryStore, folder: Path) -> None:
    """The workspace's files as they are before they are published."""
    written: list[bytes] = []

    class Spy(SnapshotStorage):
        def publish(self, workspace: Path, name: str, manifest: object) -> None:
            written.extend(file.read_bytes() for file in workspace.iterdir())
            super().publish(workspace, name, manifest)  # type: ignore[arg-type]

    enrol(store)
    shoot(store, Spy(str(folder)), KEY)
    assert len(written) == 2
    assert not any(b"person" in content for content in written)
