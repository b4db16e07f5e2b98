"""Backup and restore: everything, at one moment of each gallery, between both databases."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from serve_app.errors import (
    ConfigError,
    GalleryExistsError,
    InvalidRequestError,
    UnavailableError,
)
from serve_app.index.copies import backup as transfer
from serve_app.index.copies.backup import backup, keys, restore
from serve_app.index.mutations import Drop
from serve_app.index.store import GalleryStore, sqlite_url
from serve_app.index.store.backup_file import BackupFile
from serve_app.types import GalleryInfo, Metric, Operation
from tests.index.busy import embeddings_of, vector_of, written_to
from tests.index.databases import both, new_url
from tests.index.samples import build, embeddings, raw, rows
from tests.index.vaults import new_vault


def labels_in(store: GalleryStore) -> dict[str, dict[int, str]]:
    """Of every template of every gallery; embeddings that are not their label's are found out."""
    found = {}
    for key in keys(store):
        info = store.describe([key])[key]
        page = store.page(info, -1, 100_000)
        found[key] = dict(zip(page.ids, page.labels, strict=True))
        for label, vector in zip(page.labels, page.vectors, strict=True):
            np.testing.assert_array_equal(vector, vector_of(label))
    return found


def fill(store: GalleryStore) -> None:
    for key, count in (("a", 50), ("b", 7), ("empty", 0)):
        labels = [f"{key} {number}" for number in range(count)]
        added = embeddings_of(labels)
        store.create(key, "HNSW32", Metric.L2, labels, added, with_labels=False)
    store.remove("a", [0, 3, 49], with_labels=False)
    store.add("b", ["late"], embeddings_of(["late"]), with_labels=False,
              operation=Operation("mine", "digest"))  # fmt: skip


@both
@pytest.mark.parametrize("other", ["sqlite", "postgresql"])
def test_there_and_back(
    database: str, other: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    if database == other == "postgresql":
        pytest.skip("one PostgreSQL database a test")
    (tmp_path / "from").mkdir()
    (tmp_path / "to").mkdir()
    source = GalleryStore(new_url(database, request, tmp_path / "from"))
    target = GalleryStore(new_url(other, request, tmp_path / "to"))
    fill(source)
    seen: list[GalleryInfo] = []
    written = backup(source, tmp_path / "my.backup", progress=seen.append)
    assert seen == written
    assert (tmp_path / "my.backup").stat().st_mode & 0o777 == 0o600
    assert sorted(path.name for path in tmp_path.iterdir()) == ["from", "my.backup", "to"]
    restored = restore(tmp_path / "my.backup", target)
    assert labels_in(target) == labels_in(source)
    for before, copy, after in zip(source.galleries("", 9), written, restored, strict=True):
        info = before.info
        assert len({info.generation, copy.generation, after.generation}) == 3
        assert (after.seq, after.size, after.next_id) == (info.seq, info.size, info.next_id)
        assert (after.index_type, after.metric, after.model_id) == ("HNSW32", "L2", info.model_id)
        assert target.entry(info.key).created_at == before.created_at
    # The highest id of a was removed: nobody gets it again. What was done is not done twice.
    assert target.add("a", ["x"], embeddings(1), with_labels=False).ids == [50]
    again = target.add("b", ["late"], embeddings_of(["late"]), with_labels=True,
                       operation=Operation("mine", "digest"))  # fmt: skip
    assert again.ids == [7]
    assert again.labels is not None
    assert again.labels[7] == "late"
    assert target.describe(["b"])["b"].size == 8
    source.close()
    target.close()


@both
def test_one_moment_while_writes_go_on(
    database: str,
    request: pytest.FixtureRequest,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("serve_app.index.copies.parts.parts.__defaults__", (20,))
    url = new_url(database, request, tmp_path)
    store = GalleryStore(url)
    labels = [f"a {number}" for number in range(300)]
    store.create("a", "Flat", Metric.IP, labels, embeddings_of(labels), with_labels=False)
    with written_to(url, "a") as states:
        infos = [backup(store, tmp_path / f"{number}.backup")[0] for number in range(3)]
    for number, info in enumerate(infos):
        copy = BackupFile(tmp_path / f"{number}.backup")
        assert labels_in(copy)["a"] == states[info.seq - 1]
        # The operations whose effects are in it, and no others.
        query = "SELECT count(*), max(seq) FROM operation"
        assert rows(tmp_path / f"{number}.backup", query) == [(info.seq, info.seq)]
        copy.close()
    store.close()


def test_what_is_there_is_not_overwritten(store: GalleryStore, tmp_path: Path) -> None:
    fill(store)
    backup(store, tmp_path / "my.backup")
    with pytest.raises(InvalidRequestError, match=r"my.backup exists already.*--force"):
        backup(store, tmp_path / "my.backup")
    store.do(Drop("b"))
    assert [info.key for info in backup(store, tmp_path / "my.backup", force=True)] == [
        "a",
        "empty",
    ]
    before = labels_in(store)
    with pytest.raises(GalleryExistsError, match=r"already a gallery a, empty: nothing was"):
        restore(tmp_path / "my.backup", store)
    assert labels_in(store) == before


def test_replacing_goes_back_in_time(store: GalleryStore, tmp_path: Path) -> None:
    fill(store)
    before = labels_in(store)
    known = store.describe(["a"])["a"]
    backup(store, tmp_path / "my.backup")
    later = Operation("later")
    store.add("a", ["x"], embeddings(1), with_labels=False, operation=later)
    store.remove("b", [0], with_labels=False)
    build(store, "younger", 0)
    restore(tmp_path / "my.backup", store, replace=True)
    assert labels_in(store) == before | {"younger": {}}
    assert store.changes(known) is None  # replicas load anew
    assert store.answered(later) is None
    assert store.answered(Operation("mine", "digest")) is not None


def test_many_galleries(
    store: GalleryStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transfer, "KEYS_A_PAGE", 3)
    for number in range(10):
        build(store, f"g{number}", 1)
    assert len(backup(store, tmp_path / "my.backup")) == 10
    with pytest.raises(GalleryExistsError, match="g0, g1, g2, g3, g4 and 5 more"):
        restore(tmp_path / "my.backup", store)


def test_a_gallery_that_is_dropped_meanwhile_is_left_out(
    store: GalleryStore, tmp_path: Path
) -> None:
    for key in ("a", "b", "c"):
        build(store, key)

    def drop(info: GalleryInfo) -> None:
        if info.key == "a":
            store.do(Drop("b"))

    assert [info.key for info in backup(store, tmp_path / "x", progress=drop)] == ["a", "c"]


def test_a_new_tenants_gallery_waits_for_the_next_backup(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its data key is not among those that the backup is sealed by."""
    monkeypatch.setattr(transfer, "KEYS_A_PAGE", 1)
    store = GalleryStore(url, vault=new_vault())
    build(store, "staff")

    def meanwhile(_: GalleryInfo) -> None:
        build(store, "zoo/new")

    backup(store, tmp_path / "backup", progress=meanwhile)
    restored = restore(tmp_path / "backup", store, replace=True)
    assert [info.key for info in restored] == ["staff"]
    store.close()


def test_a_failure_leaves_no_file(store: GalleryStore, file: Path, tmp_path: Path) -> None:
    build(store)
    with raw(file) as connection:
        connection.execute("UPDATE template SET label = 'Eve' WHERE id = 1")
    before = sorted(tmp_path.iterdir())
    with pytest.raises(UnavailableError, match="damaged template"):
        backup(store, tmp_path / "my.backup")
    assert sorted(tmp_path.iterdir()) == before


def test_what_was_written_is_read_back(
    store: GalleryStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    build(store)
    before = sorted(tmp_path.iterdir())

    def spoil(file: Path) -> None:
        with raw(file) as connection:
            connection.execute("DELETE FROM template WHERE id = 1")

    monkeypatch.setattr(transfer, "seal", spoil)
    with pytest.raises(UnavailableError, match=r"my.backup can't be trusted: .* has 2 templates"):
        backup(store, tmp_path / "my.backup")
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.parametrize(
    "damage",
    ["UPDATE template SET label = 'Eve' WHERE id = 1",
     "UPDATE template SET embedding = zeroblob(32) WHERE id = 1",
     "UPDATE template SET embedding = x'00' WHERE id = 1"],
)  # fmt: skip
def test_a_damaged_backup(damage: str, store: GalleryStore, tmp_path: Path) -> None:
    build(store, "whole")
    build(store, "worse")
    backup(store, tmp_path / "my.backup")
    target = GalleryStore(sqlite_url(tmp_path / "to" / "galleries.db"))
    with raw(tmp_path / "my.backup") as connection:
        of = "(SELECT generation FROM gallery WHERE key = 'worse')"
        connection.execute(f"{damage} AND generation = {of}")
    with pytest.raises(ConfigError, match=r"^my.backup holds a damaged template"):
        restore(tmp_path / "my.backup", target)
    assert list(keys(target)) == ["whole"]  # each whole or not at all
    target.close()


def test_a_backup_with_too_few_templates(store: GalleryStore, tmp_path: Path) -> None:
    build(store)
    backup(store, tmp_path / "my.backup")
    with raw(tmp_path / "my.backup") as connection:
        connection.execute("DELETE FROM template WHERE id = 1")
    with pytest.raises(ConfigError, match=r"^my.backup is damaged: .* 3 templates, 2 are there"):
        restore(tmp_path / "my.backup", store, replace=True)
    assert store.describe(["staff"])["staff"].size == 3


def test_bits_that_change(store: GalleryStore, tmp_path: Path) -> None:
    """At every kind of place: refused, or what is restored is what was backed up."""
    fill(store)
    expected = labels_in(store)
    backup(store, tmp_path / "my.backup")
    content = (tmp_path / "my.backup").read_bytes()
    refused = 0
    for number, place in enumerate(range(0, len(content), len(content) // 60)):
        changed = bytearray(content)
        changed[place] ^= 0x10
        (tmp_path / "changed").write_bytes(changed)
        target = GalleryStore(sqlite_url(tmp_path / str(number) / "galleries.db"))
        try:
            restore(tmp_path / "changed", target)
        except ConfigError as error:
            refused += str(error).startswith("changed ")
        else:
            assert labels_in(target) == expected
        target.close()
    assert refused
