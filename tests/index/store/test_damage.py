"""Damaged SQLite files: refused, or said to be unavailable, or read exactly as they were written.

Never an empty, a shorter, a shifted or a silently changed gallery, wherever bits changed.
"""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from serve_app.errors import ConfigError, FaceServeError, GalleryNotFoundError, UnavailableError
from serve_app.index.loading import Loader
from serve_app.index.mutations import Add, Drop, Optimize
from serve_app.index.records import SnapshotRow, check_of
from serve_app.index.store import GalleryStore
from serve_app.index.store.damage import read_page
from serve_app.types import Candidate, GalleryInfo, Metric, Shard
from tests.index.samples import DIMENSION, build, embeddings, info_of, labels_of, raw, vectors

PAGE = 4096
FLIPS = 40
"""Of bits, in each table, index and list of pages."""

KEYS = ("staff", "guests", "empty")
PROBES = vectors(2, seed=77)
Seen = dict[str, tuple[GalleryInfo, list[list[Candidate]]]]

OWNERS = (
    "gallery",
    "sqlite_autoindex_gallery_1",
    "sqlite_autoindex_gallery_2",
    "template",
    "sqlite_autoindex_template_1",
    "ix_template_added",
    "ix_template_removed",
    "ix_template_label",
    "operation",
    "sqlite_autoindex_operation_1",
    "snapshot",
    "ix_snapshot_newest",
    "alembic_version",
    "sqlite_schema",
    "header",
    "free",
)
"""Of the file's pages, and what is damaged."""


class Database:
    """A good file, to be written damaged over and over again, and what is in it."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._url = f"sqlite:///{file}"
        store = GalleryStore(self._url)
        fill(store)
        store.close()
        self.good = file.read_bytes()
        self.pages = owners_of(file)
        self.refusals: set[str] = set()
        seen = self.outcome(self.good)
        assert isinstance(seen, dict)
        self.seen: Seen = seen

    def outcome(self, content: bytes, *, create: bool = True) -> Seen | FaceServeError:
        """What is seen in a file, or what is said of it. Any other error is passed on."""
        for path in self._file.parent.iterdir():
            path.unlink()
        self._file.write_bytes(content)
        try:
            store = GalleryStore(self._url, create=create)
        except ConfigError as error:
            self.refusals.add(str(error))
            return error
        try:
            return see(store)
        except (UnavailableError, GalleryNotFoundError) as error:
            return error
        finally:
            store.close()

    def outcomes(self, contents: list[bytes]) -> list[Seen | FaceServeError]:
        """By turns as the first to open it, who checks all, and as a replica, who doesn't."""
        return [self.outcome(content, create=not n % 2) for n, content in enumerate(contents)]

    def assert_nothing_silent(self, contents: dict[str, bytes]) -> None:
        for (what, content), outcome in zip(
            contents.items(), self.outcomes(list(contents.values())), strict=True
        ):
            if isinstance(outcome, dict):
                assert outcome == self.seen, what
                assert content != self.good
        for refusal in self.refusals:
            assert refusal.startswith(f"database {self._file.name} ")
            assert str(self._file.parent) not in refusal

    def places(self, owner: str) -> list[int]:
        """Where bytes of it are that aren't zero: padding is seldom of interest."""
        if owner == "header":
            return list(range(100))
        starts = [PAGE * (page - 1) for page in self.pages[owner]]
        return [at for start in starts for at in range(start, start + PAGE) if self.good[at]]


def fill(store: GalleryStore) -> None:
    build(store, "staff", 60)
    build(store, "guests", 30, metric=Metric.L2)
    build(store, "gone", 90)
    build(store, "empty", 0)
    for number in range(5):  # labels of other lengths, some of which overflow a page
        labels = ["é" * 40 * number, "x" * 3000 * number]
        store.add("staff", labels, embeddings(2, seed=number), with_labels=False)
    store.remove("staff", [3, 20, 62], with_labels=False)
    store.do(Optimize("guests"))
    store.do(Drop("gone"))  # free pages
    info = info_of(store)
    store.register(SnapshotRow("a snapshot", info.generation, Shard(), 1, 60, 60, 1.0))


def owners_of(file: Path) -> dict[str, list[int]]:
    with raw(file) as connection:
        pages: dict[str, list[int]] = {}
        for name, page in connection.execute("SELECT name, pageno FROM dbstat"):
            pages.setdefault(name, []).append(page)
        (count,) = connection.execute("PRAGMA page_count").fetchone()
    used = {page for found in pages.values() for page in found}
    pages["free"] = [page for page in range(1, count + 1) if page not in used]
    return pages


def see(store: GalleryStore) -> Seen:
    """Galleries as a replica serves them: every template's id, label and distance to probes."""
    loader = Loader(store, Shard(), None)
    found = {}
    for key in KEYS:
        info = store.describe([key]).get(key)
        if info is None:
            raise GalleryNotFoundError(key)
        loaded = loader.load(info)
        found[key] = (loaded.info, loaded.index.search(PROBES, 1000))
    return found


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Database:
    probe = sqlite3.connect(":memory:")
    options = {row[0] for row in probe.execute("PRAGMA compile_options")}
    probe.close()
    if "ENABLE_DBSTAT_VTAB" not in options:
        pytest.skip("this SQLite does not tell what its pages are used for")
    return Database(tmp_path_factory.mktemp("damage") / "galleries.sqlite")


def flipped(content: bytes, at: int, bit: int) -> bytes:
    changed = bytearray(content)
    changed[at] ^= 1 << bit
    return bytes(changed)


@pytest.mark.parametrize("owner", OWNERS)
def test_flipped_bits(database: Database, owner: str) -> None:
    chance = random.Random(owner)
    places = database.places(owner)
    contents = {}
    for _ in range(FLIPS):
        at, bit = chance.choice(places), chance.randrange(8)
        contents[f"bit {bit} of byte {at}"] = flipped(database.good, at, bit)
    database.assert_nothing_silent(contents)


def test_every_page_zeroed_or_replaced_by_another(database: Database) -> None:
    chance = random.Random(1)
    good = database.good
    contents = {}
    count = len(good) // PAGE
    for page in range(count):
        start, other = PAGE * page, PAGE * chance.randrange(count)
        contents[f"page {page} zeroed"] = good[:start] + bytes(PAGE) + good[start + PAGE :]
        copied = good[:start] + good[other : other + PAGE] + good[start + PAGE :]
        contents[f"page {page} is that of {other}"] = copied
    contents = {what: content for what, content in contents.items() if content != good}
    database.assert_nothing_silent(contents)


def test_sectors_zeroed_or_overwritten(database: Database) -> None:
    """A disk writes 512 bytes at once."""
    chance = random.Random(2)
    good = database.good
    contents = {}
    for number in range(120):
        start = 512 * chance.randrange(len(good) // 512)
        filling = bytes(512) if number % 2 else chance.randbytes(512)
        contents[f"sector at {start}, {number}"] = good[:start] + filling + good[start + 512 :]
    contents = {what: content for what, content in contents.items() if content != good}
    database.assert_nothing_silent(contents)


def test_a_file_cut_off_anywhere(database: Database) -> None:
    chance = random.Random(3)
    length = len(database.good)
    ends = {PAGE * page for page in range(1, length // PAGE)}
    ends |= {chance.randrange(1, length) for _ in range(40)} | {1, 15, 16, 99, 100, length - 1}
    contents = {f"cut at {end}": database.good[:end] for end in sorted(ends)}
    database.assert_nothing_silent(contents)


@pytest.mark.parametrize("order", [[1, 1], [2, 1], [0, 1], [1, 3, 2]])
def test_a_page_that_would_be_read_without_end(order: list[int]) -> None:
    vector = vectors(1)[0].tobytes()
    rows = [(number, "a", vector, check_of(number, "a", vector)) for number in order]
    with pytest.raises(UnavailableError, match="damaged"):
        read_page(rows, DIMENSION, after_id=0)
    assert read_page(rows[:1], DIMENSION, after_id=-1).ids == order[:1]


def test_most_damage_is_noticed(database: Database) -> None:
    """Or the tests above would see nothing: none of these files may be read as if it were good."""
    good = database.good
    for owner in ("template", "sqlite_autoindex_template_1", "gallery"):
        for page in database.pages[owner]:
            zeroed = good[: PAGE * (page - 1)] + bytes(PAGE) + good[PAGE * page :]
            for create in (True, False):
                assert isinstance(database.outcome(zeroed, create=create), FaceServeError)


def test_an_emptied_file_is_said_to_have_no_gallery(database: Database) -> None:
    """Nothing is left that could tell it from a new one; it is not an empty gallery either."""
    assert isinstance(database.outcome(b""), GalleryNotFoundError)


CHANGES: dict[str, Callable[[sqlite3.Connection], object]] = {
    name: lambda connection, statement=statement: connection.execute(statement)  # type: ignore[misc]
    for name, statement in {
        "label": "UPDATE template SET label = 'Eve' WHERE id = 1",
        "label is a number": "UPDATE template SET label = CAST('7' AS BLOB) WHERE id = 1",
        "label is nothing": "UPDATE template SET label = NULL WHERE id = 1",
        "embedding": "UPDATE template SET embedding = zeroblob(32) WHERE id = 1",
        "embedding is a text": "UPDATE template SET embedding = 'text' WHERE id = 1",
        "embedding is nothing": "UPDATE template SET embedding = NULL WHERE id = 1",
        "crc is nothing": "UPDATE template SET crc = NULL WHERE id = 1",
        "crc is a text": "UPDATE template SET crc = 'x' WHERE id = 1",
        "id": "UPDATE template SET id = 40 WHERE id = 1",
        "id is a text": "UPDATE template SET id = 'x' WHERE id = 1",
        "a template is gone": "DELETE FROM template WHERE id = 1",
        "removed": "UPDATE template SET removed_seq = 0 WHERE id = 1",
        "size": "UPDATE gallery SET size = size - 1",
        "size is a text": "UPDATE gallery SET size = 'x'",
        "seq is a text": "UPDATE gallery SET seq = 'x'",
        "floor_seq is a text": "UPDATE gallery SET floor_seq = 'x'",
        "next_id is negative": "UPDATE gallery SET next_id = -next_id",
        "metric": "UPDATE gallery SET metric = 'IQ'",
        "model_id is no text": "UPDATE gallery SET model_id = x'00'",
        "wanted_seq is a text": "UPDATE gallery SET wanted_seq = 'x'",
        "dimension": "UPDATE gallery SET dimension = 9",
    }.items()
}


@pytest.mark.parametrize("change", CHANGES)
def test_values_that_cannot_be(store: GalleryStore, file: Path, change: str) -> None:
    build(store, count=3)
    with raw(file) as connection:
        connection.execute("PRAGMA foreign_keys=OFF")
        CHANGES[change](connection)
    with pytest.raises(UnavailableError, match="damaged"):
        Loader(store, Shard(), None).load(info_of(store))


@pytest.mark.parametrize(
    "change", [change for change in CHANGES if "seq is" in change or "next_id is" in change]
)
def test_nothing_is_written_beside_damage(store: GalleryStore, file: Path, change: str) -> None:
    """Nor are others' mutations of the same transaction lost."""
    build(store, count=3)
    with raw(file) as connection:
        CHANGES[change](connection)
    build(store, "guests", 0)
    add = Add("staff", ["x"], embeddings(1))
    damaged, done = store.apply([add, replace(add, key="guests", operation=Drop("").operation)])
    assert isinstance(damaged, UnavailableError)
    assert labels_of(store, "guests") == {0: "x"}
    assert not isinstance(done, FaceServeError)
