"""``face-serve backup`` and ``face-serve restore``: every gallery, into one file and back."""

from __future__ import annotations

import contextlib
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from serve_app.cli.database import DEFAULT_CONFIG, ConfigOption, DataDirOption, open_store

if TYPE_CHECKING:
    from serve_app.types import GalleryInfo


def backup(
    file: Annotated[Path, typer.Argument(help="The backup to write: a SQLite file.")],
    force: Annotated[bool, typer.Option("--force", help="Replace a file that exists.")] = False,
    config: ConfigOption = DEFAULT_CONFIG,
    data_dir: DataDirOption = None,
) -> None:
    """Copy every gallery into a file and check it. The service may go on writing meanwhile.

    The file holds faces' embeddings and labels: keep it where nobody else reads it.
    """
    from serve_app.index.copies.backup import backup as run

    with contextlib.closing(open_store(config, data_dir, os.environ)) as store:
        _print("backed up", run(store, file, force=force, progress=_progress))


def restore(
    file: Annotated[Path, typer.Argument(help="A file that `face-serve backup` wrote.")],
    replace: Annotated[
        bool, typer.Option("--replace", help="Put the backup's in the place of galleries there.")
    ] = False,
    config: ConfigOption = DEFAULT_CONFIG,
    data_dir: DataDirOption = None,
) -> None:
    """Copy every gallery of a backup into the database, each whole or not at all."""
    from serve_app.index.copies.backup import restore as run

    with contextlib.closing(open_store(config, data_dir, os.environ, create=True)) as store:
        _print("restored", run(file, store, replace=replace, progress=_progress))


def _progress(info: GalleryInfo) -> None:
    if sys.stderr.isatty():
        print(f"{info.key}: {info.size} templates", file=sys.stderr)


def _print(what: str, galleries: list[GalleryInfo]) -> None:
    templates = sum(info.size for info in galleries)
    print(f"{what}: {len(galleries)} galleries, {templates} templates, checked")
