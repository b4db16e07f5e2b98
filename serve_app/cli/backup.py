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
    keys: Annotated[
        Path | None,
        typer.Option(help="Write the wrapped data keys of encrypted galleries here, apart."),
    ] = None,
    config: ConfigOption = DEFAULT_CONFIG,
    data_dir: DataDirOption = None,
) -> None:
    """Copy every gallery into a file and check it. The service may go on writing meanwhile.

    The file holds faces' embeddings and labels: keep it where nobody else reads it. Of encrypted
    galleries it is sealed, and can be restored only where their data keys are, or from --keys.
    """
    from serve_app.index.copies.backup import backup as run
    from serve_app.index.copies.backup import backup_keys
    from serve_app.index.copies.key_file import write_keys

    with contextlib.closing(open_store(config, data_dir, os.environ)) as store:
        wrapped = None if keys is None else backup_keys(store)
        if keys is not None and wrapped is not None:
            write_keys(keys, wrapped, force=force)
        made = run(store, file, force=force, progress=_progress, sealed_by=wrapped)
        _print("backed up", made)
        encrypted = store.vault is not None
    if encrypted and keys is None:
        print("The data keys that seal it are in the database alone: with --keys FILE a copy is "
              "kept apart. Without one, losing the database loses the backup.")  # fmt: skip


def restore(
    file: Annotated[Path, typer.Argument(help="A file that `face-serve backup` wrote.")],
    replace: Annotated[
        bool, typer.Option("--replace", help="Put the backup's in the place of galleries there.")
    ] = False,
    keys: Annotated[
        Path | None, typer.Option(help="The file of data keys that was written with the backup.")
    ] = None,
    skip_unreadable: Annotated[
        bool,
        typer.Option("--skip-unreadable", help="Leave out tenants whose data keys are gone."),
    ] = False,
    config: ConfigOption = DEFAULT_CONFIG,
    data_dir: DataDirOption = None,
) -> None:
    """Copy every gallery of a backup into the database, each whole or not at all."""
    from serve_app.index.copies.backup import restore as run
    from serve_app.index.copies.key_file import read_keys

    with contextlib.closing(open_store(config, data_dir, os.environ, create=True)) as store:
        wrapped = None if keys is None else read_keys(keys)
        restored = run(
            file,
            store,
            replace=replace,
            progress=_progress,
            sealed_by=wrapped,
            skip_unreadable=skip_unreadable,
        )
        _print("restored", restored)


def _progress(info: GalleryInfo) -> None:
    if sys.stderr.isatty():
        print(f"{info.key}: {info.size} templates", file=sys.stderr)


def _print(what: str, galleries: list[GalleryInfo]) -> None:
    templates = sum(info.size for info in galleries)
    print(f"{what}: {len(galleries)} galleries, {templates} templates, checked")
