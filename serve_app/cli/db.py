"""``face-serve db``: the database's schema."""

from __future__ import annotations

import contextlib
import os

import typer

from serve_app.cli.database import DEFAULT_CONFIG, ConfigOption, DataDirOption, open_store

app = typer.Typer(help="The database's schema.", no_args_is_help=True, rich_markup_mode=None)


@app.callback()
def database() -> None:
    """The database's schema."""  # a callback keeps ``upgrade`` a command of its own


@app.command()
def upgrade(config: ConfigOption = DEFAULT_CONFIG, data_dir: DataDirOption = None) -> None:
    """Bring the schema up to date. Run it once before the first start, and with each new version,
    where the database is PostgreSQL."""
    store = open_store(config, data_dir, os.environ, create=True, migrate=True)
    with contextlib.closing(store):
        print(f"database schema: revision {store.revision}")
