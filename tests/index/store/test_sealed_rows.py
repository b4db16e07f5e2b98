"""What lies in the database of an encrypted store, and what becomes of it when it was changed."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from sqlalchemy import Connection, create_engine, text

from serve_app.errors import FaceServeError, UnavailableError
from serve_app.index.mutations import RemoveLabel
from serve_app.index.records import label_digest
from serve_app.index.store import GalleryStore
from tests.index.samples import build, embeddings, info_of, labels_of
from tests.index.vaults import new_vault

NAMES = ["Ada Lovelace", "Grace Hopper", "Ada Lovelace"]


@pytest.fixture
def store(database_url: str) -> Iterator[GalleryStore]:
    store = GalleryStore(database_url, vault=new_vault())
    store.create("staff", "Flat", "IP", NAMES, embeddings(3), with_labels=False)  # type: ignore[arg-type]
    yield store
    store.close()


def execute(url: str, statement: str) -> list[tuple[object, ...]]:
    engine = create_engine(url)
    try:
        with engine.begin() as connection:
            done = connection.execute(text(statement))
            return [tuple(row) for row in done] if done.returns_rows else []
    finally:
        engine.dispose()


def test_no_row_tells_a_label_or_an_embedding(store: GalleryStore, database_url: str) -> None:
    rows = execute(database_url, "SELECT label, label_digest, embedding FROM template ORDER BY id")
    content = repr(rows).encode() + b"".join(bytes(row[2]) for row in rows)  # type: ignore[call-overload]
    for number, name in enumerate(NAMES):
        assert rows[number][0] is None
        assert name.encode() not in content
        assert embeddings(3).vectors[number].tobytes()[:8] not in content
        assert bytes(rows[number][1]) != label_digest(name)  # type: ignore[call-overload]
    assert rows[0][1] == rows[2][1] != rows[1][1]  # looked up by it


def test_the_same_label_has_another_digest_in_another_gallery(
    store: GalleryStore, database_url: str
) -> None:
    store.create("guests", "Flat", "IP", NAMES[:1], embeddings(1), with_labels=False)  # type: ignore[arg-type]
    digests = execute(database_url, "SELECT label_digest FROM template WHERE id = 0")
    assert len({bytes(row[0]) for row in digests}) == 2  # type: ignore[call-overload]


def test_labels_are_found_and_removed(store: GalleryStore) -> None:
    found = store.templates(info_of(store), "Ada Lovelace", -1, 9)
    assert [(entry.id, entry.label) for entry in found] == [
        (0, "Ada Lovelace"),
        (2, "Ada Lovelace"),
    ]
    assert store.do(RemoveLabel("staff", "Ada Lovelace")).ids == [0, 2]
    assert labels_of(store) == {1: "Grace Hopper"}


def test_plain_rows_of_before_are_read_found_and_removed_beside_sealed_ones(
    database_url: str,
) -> None:
    plain = GalleryStore(database_url)
    build(plain)
    plain.close()
    store = GalleryStore(database_url, vault=new_vault())
    store.add("staff", ["1", "new"], embeddings(2, seed=5), with_labels=False)
    assert labels_of(store) == {0: "0", 1: "1", 2: "2", 3: "1", 4: "new"}
    assert [entry.id for entry in store.templates(info_of(store), "1", -1, 9)] == [1, 3]
    assert store.do(RemoveLabel("staff", "1")).ids == [1, 3]
    store.close()


@pytest.mark.parametrize(
    "tampered",
    [
        "UPDATE template SET embedding = (SELECT embedding FROM template WHERE id = 1),"
        " crc = (SELECT crc FROM template WHERE id = 1) WHERE id = 0",
        "UPDATE template SET crc = -1, key_version = NULL, label = 'x' WHERE id = 0",
        "UPDATE template SET key_version = 7 WHERE id = 0",
        "UPDATE template SET key_version = NULL, label = 'x' WHERE id = 0",
        "UPDATE template SET crc = 0 WHERE id = 0",
        "UPDATE template SET label_digest = (SELECT label_digest FROM template WHERE id = 1)",
    ],
    ids=["another row's", "made plain", "another key's", "without its check", "check", "digest"],
)
def test_a_row_that_was_tampered_with_is_refused(
    store: GalleryStore, database_url: str, tampered: str
) -> None:
    execute(database_url, tampered)

    def read() -> None:
        store.templates(info_of(store), "Grace Hopper", -1, 9)
        labels_of(store)

    with pytest.raises(UnavailableError):
        read()


def test_a_row_of_another_gallery_is_refused(store: GalleryStore, database_url: str) -> None:
    store.create("guests", "Flat", "IP", ["x"], embeddings(1), with_labels=False)  # type: ignore[arg-type]
    guests = info_of(store, "guests").generation
    execute(
        database_url,
        "UPDATE template SET (embedding, crc, label_digest) = (SELECT embedding, crc, label_digest"
        f" FROM template other WHERE other.generation = '{guests}') WHERE id = 0"
        f" AND generation <> '{guests}'",
    )
    with pytest.raises(UnavailableError, match="damaged"):
        labels_of(store)
    assert labels_of(store, "guests") == {0: "x"}


def test_without_the_key_reading_is_unavailable_and_never_empty(
    store: GalleryStore, database_url: str
) -> None:
    """As in a replica that was started before there was encryption."""
    plain = GalleryStore.__new__(GalleryStore)
    plain._engine = create_engine(database_url)
    plain._transactions = type(store.transactions)(plain._engine, patience_s=0)
    info = info_of(store)

    def refused(ask: object) -> None:
        with pytest.raises(FaceServeError) as raised:
            ask()  # type: ignore[operator]
        assert raised.value.code == "unavailable"

    refused(lambda: plain.page(info, -1, 9))
    refused(lambda: plain.templates(info, None, -1, 9))
    plain.close()


def test_nothing_is_written_without_its_key(store: GalleryStore) -> None:
    def versions(connection: Connection) -> set[int]:
        return set(connection.execute(text("SELECT key_version FROM template")).scalars())

    store.add("staff", ["more"], embeddings(1), with_labels=False)
    assert store.transactions.query(versions) == {1}
