"""``face-serve db``: the database's schema."""

from __future__ import annotations

import contextlib
import os
from typing import Annotated

import typer

from serve_app.cli.database import DEFAULT_CONFIG, ConfigOption, DataDirOption, open_store
from serve_app.errors import NewerSchemaError

app = typer.Typer(help="The database's schema.", no_args_is_help=True, rich_markup_mode=None)


@app.callback()
def database() -> None:
    """The database's schema."""  # a callback keeps ``upgrade`` a command of its own


@app.command()
def upgrade(
    config: ConfigOption = DEFAULT_CONFIG,
    data_dir: DataDirOption = None,
    accept_newer: Annotated[
        bool,
        typer.Option(
            "--accept-newer",
            help="A schema of a newer version is left as it is, and no error: what runs goes on.",
        ),
    ] = False,
) -> None:
    """Bring the schema up to date. Run it once before the first start, and with each new version,
    where the database is PostgreSQL."""
    try:
        store = open_store(config, data_dir, os.environ, create=True, migrate=True)
    except NewerSchemaError as error:
        if not accept_newer:
            raise
        print(f"left as it is: {error}")
        return
    with contextlib.closing(store):
        print(f"database schema: revision {store.revision}")
