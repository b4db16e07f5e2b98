"""The tables as declared and the tables as migrated are the same."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Column, Engine, Integer, MetaData, create_engine, inspect

from serve_app.index.engine import migrations, open_engine
from serve_app.index.schema import metadata
from serve_app.index.store import GalleryStore

from .samples import build, raw, rows


@pytest.fixture
def engine(url: str) -> Iterator[Engine]:
    engine = open_engine(url)
    yield engine
    engine.dispose()


def drift(engine: Engine, declared: MetaData) -> list[object]:
    with engine.connect() as connection:
        return list(compare_metadata(MigrationContext.configure(connection), declared))


def reflected(engine: Engine, name: str) -> dict[str, object]:
    """What Alembic's comparison leaves out too: defaults, keys, deletion rules."""
    inspector = inspect(engine)
    columns = [column | {"type": str(column["type"])} for column in inspector.get_columns(name)]
    return {
        "columns": columns,
        "key": inspector.get_pk_constraint(name),
        "foreign": inspector.get_foreign_keys(name),
        "unique": sorted(map(str, inspector.get_unique_constraints(name))),
        "indexes": sorted(map(str, inspector.get_indexes(name))),
    }


def test_the_migrated_schema_is_the_declared_one(engine: Engine, tmp_path: Path) -> None:
    assert drift(engine, metadata) == []
    declared = create_engine(f"sqlite:///{tmp_path / 'declared.sqlite'}")
    metadata.create_all(declared)
    for table in metadata.tables:
        assert reflected(engine, table) == reflected(declared, table)
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
