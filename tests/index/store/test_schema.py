"""The tables as declared and as migrated are the same, on both databases; rows come along."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Column, Engine, Integer, MetaData, create_engine, inspect, text

from serve_app.index.loading import Loader
from serve_app.index.mutations import RemoveLabel
from serve_app.index.store import GalleryStore, sqlite_url
from serve_app.index.store.engine import migrations
from serve_app.index.store.schema import metadata
from serve_app.types import Shard
from tests.index.samples import build, info_of, labels_of, raw, rows, vectors

PAGE = 10_000
"""Of the migration that fills in."""


@pytest.fixture(params=["sqlite", "postgresql"])
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Engine]:
    """On a database of the test's own, with the newest schema. Foreign keys hold as in a store."""
    if request.param == "sqlite":
        url = sqlite_url(tmp_path / "galleries.sqlite")
    else:
        url = str(request.getfixturevalue("postgres_url"))
    store = GalleryStore(url, migrate=True)
    yield store._engine
    store.close()


def drift(engine: Engine, declared: MetaData) -> list[object]:
    with engine.connect() as connection:
        return list(compare_metadata(MigrationContext.configure(connection), declared))


def reflected(engine: Engine, name: str) -> dict[str, object]:
    """What Alembic's comparison leaves out too: defaults, keys, deletion rules."""
    inspector = inspect(engine)
    columns = [column | {"type": str(column["type"])} for column in inspector.get_columns(name)]
    return {
        "columns": sorted(map(str, columns)),
        "key": inspector.get_pk_constraint(name),
        "foreign": inspector.get_foreign_keys(name),
        "unique": sorted(map(str, inspector.get_unique_constraints(name))),
        "indexes": sorted(map(str, inspector.get_indexes(name))),
    }


def test_the_migrated_schema_is_the_declared_one(engine: Engine, tmp_path: Path) -> None:
    assert drift(engine, metadata) == []
    migrated = {table: reflected(engine, table) for table in metadata.tables}
    if engine.dialect.name == "sqlite":
        declared = create_engine(f"sqlite:///{tmp_path / 'declared.sqlite'}")
    else:
        declared = engine
        command.downgrade(migrations(engine), "base")
    metadata.create_all(declared)
    for table in metadata.tables:
        assert migrated[table] == reflected(declared, table)
    declared.dispose()


def test_a_forgotten_migration_would_be_noticed(engine: Engine) -> None:
    newer = MetaData()
    for table in metadata.sorted_tables:
        table.to_metadata(newer)
    newer.tables["gallery"].append_column(Column("colour", Integer))
    newer.tables["template"].indexes.clear()
    assert len(drift(engine, newer)) == 1 + len(metadata.tables["template"].indexes)


def test_there_is_one_newest_revision(engine: Engine) -> None:
    assert len(ScriptDirectory.from_config(migrations(engine)).get_heads()) == 1


def test_downgrade_takes_everything_back(engine: Engine) -> None:
    command.downgrade(migrations(engine), "base")
    assert inspect(engine).get_table_names() == ["alembic_version"]
    command.upgrade(migrations(engine), "head")
    assert drift(engine, metadata) == []


def test_templates_belong_to_a_gallery(url: str, file: Path) -> None:
    store = GalleryStore(url)
    build(store, "staff", 3)
    build(store, "guests", 2)
    store.close()
    with raw(file) as connection:
        with pytest.raises(sqlite3.IntegrityError, match="FOREIGN KEY"):
            connection.execute("UPDATE template SET generation = 'nobody' WHERE label = '2'")
        connection.execute("DELETE FROM gallery WHERE key = 'staff'")
    assert rows(file, "SELECT count(*) FROM template") == [(2,)]


def of_the_first_version(engine: Engine, count: int) -> None:
    """Take the schema back to 0001 and write a gallery as that version did: ``count`` templates
    labelled by number, of which 1 is removed, and a gallery without any."""
    command.downgrade(migrations(engine), "0001")
    stored = [
        {"g": generation, "i": number, "l": f"label {number}", "e": vector.tobytes()}
        for generation in ("a" * 32, "b" * 32)
        for number, vector in enumerate(vectors(count))
    ]
    gallery = text(
        "INSERT INTO gallery (key, generation, index_type, metric, dimension, model_id,"
        " next_id, size, seq) VALUES (:k, :g, 'Flat', 'IP', 8, 'sface-1234', :n, :s, 2)"
    )
    with engine.begin() as connection:
        for key, letter, size in (("staff", "a", count), ("guests", "b", count), ("none", "c", 1)):
            facts = {"k": key, "g": letter * 32, "n": size, "s": size - 1}
            connection.execute(gallery, facts)
        connection.execute(text("INSERT INTO template VALUES (:g, :i, :l, :e, 1, NULL)"), stored)
        connection.execute(
            text("UPDATE template SET label = NULL, embedding = NULL, removed_seq = 2 WHERE id = 1")
        )


def test_rows_of_the_first_version_come_along(engine: Engine) -> None:
    """More than one page of the migration, which ends within the second gallery."""
    count = PAGE // 2 + 10
    of_the_first_version(engine, count)
    url = engine.url.render_as_string(hide_password=False)
    store = GalleryStore(url, migrate=True)
    with engine.connect() as connection:
        unfilled = connection.execute(
            text(
                "SELECT id, label FROM template WHERE crc IS NULL OR label_digest IS NULL"
                " ORDER BY generation"
            )
        ).all()
    assert unfilled == [(1, None), (1, None)]
    left = {number: f"label {number}" for number in range(count) if number != 1}
    for key in ("staff", "guests"):
        info = info_of(store, key)
        assert labels_of(store, key) == left  # it checks every crc
        page = store.page(info, count - 3, 9)
        assert np.array_equal(page.vectors, vectors(count)[-2:])
        assert len(Loader(store, Shard(), None).load(info).index) == count - 1
    assert store.do(RemoveLabel("staff", f"label {count - 1}")).ids == [count - 1]
    assert labels_of(store, "none") == {}
    entry = store.entry("staff")
    assert entry.created_at == 0  # unknown
    store.close()


def test_the_first_version_gets_its_rows_back(engine: Engine) -> None:
    of_the_first_version(engine, 5)
    columns = "generation, id, label, embedding, added_seq, removed_seq"
    everything = text(f"SELECT {columns} FROM template ORDER BY generation, id")
    with engine.connect() as connection:
        before = connection.execute(everything).all()
    command.upgrade(migrations(engine), "head")
    assert drift(engine, metadata) == []
    command.downgrade(migrations(engine), "0001")
    with engine.connect() as connection:
        assert connection.execute(everything).all() == before
    assert set(inspect(engine).get_table_names()) == {"alembic_version", "gallery", "template"}
    names = [column["name"] for column in inspect(engine).get_columns("gallery")]
    assert names[-1] == "state"
