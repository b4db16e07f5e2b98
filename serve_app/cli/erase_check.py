"""``face-serve gallery erase-check``: is what was removed from a gallery gone from every file?"""

from __future__ import annotations

import contextlib
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from serve_app.cli.database import (
    DEFAULT_CONFIG,
    ConfigOption,
    DataDirOption,
    open_store,
    read_service_args,
)
from serve_app.cli.output import table

if TYPE_CHECKING:
    from serve_app.config import ServiceArgs
    from serve_app.index.erasure.check import Outcome

JOURNALS = ("-wal", "-shm", "-journal")
"""What SQLite has beside a database."""

SEALED = """\
The database is encrypted: what is sealed can't be searched for. The check shows that nothing plain
was written; of sealed copies only that their rows and snapshots are gone."""

POSTGRESQL = """\
PostgreSQL's own files were not searched: they hold removed rows until it vacuums, and its log and
backups longer. Run the check where the server is, with --also its data directory, after
`VACUUM FULL template` and `CHECKPOINT`: docs/erasure.md."""


def erase_check(
    key: Annotated[str, typer.Argument(metavar="KEY", help="The gallery's key.")],
    also: Annotated[
        list[Path] | None,
        typer.Option(exists=True, help="Another file or directory to search: backups, logs."),
    ] = None,
    wait: Annotated[float, typer.Option(min=0, help="Seconds to wait for snapshots, twice.")] = 60,
    config: ConfigOption = DEFAULT_CONFIG,
    data_dir: DataDirOption = None,
) -> None:
    """Enrol marked templates, remove them, and search every file for what is left.

    Searched are the data directory, the snapshots, Ray's logs and what --also names. For a moment
    the gallery holds three templates that are nobody's. Exit code 1: something is left.
    """
    from serve_app.config.service import snapshots_url
    from serve_app.index.erasure.check import EraseCheck

    service = read_service_args(config, data_dir, os.environ)
    with contextlib.closing(open_store(config, data_dir, os.environ)) as store:
        paths = [*_places(service, store.file), *(also or [])]
        outcome = EraseCheck(store, key).run(paths, wait)
        postgresql, sealed = not store.one_writer, store.vault is not None
    _print(outcome)
    if "://" in snapshots_url(service):
        print("The snapshots' object store was not searched: list its old versions there.")
    if sealed:
        print(SEALED)
    if postgresql and not also:
        print(POSTGRESQL)
    if not outcome.report.clean or not outcome.rewritten:
        raise typer.Exit(1)


def _places(service: ServiceArgs, database: Path | None) -> list[Path]:
    """Where the service writes on this machine."""
    from serve_app.config.service import snapshots_url

    places = [service.data_dir, Path(tempfile.gettempdir()) / "ray"]
    if database is not None:
        places += [database.with_name(database.name + end) for end in ("", *JOURNALS)]
    if "://" not in snapshots_url(service):
        places.append(Path(snapshots_url(service)))
    return places  # those that are not there yet may be when they are searched


def _print(outcome: Outcome) -> None:
    report = outcome.report
    if outcome.snapshots and not outcome.built:
        print("No snapshot was built with the marks in time: is the service running? What is said "
              "of snapshots here proves little.")  # fmt: skip
    if not outcome.rewritten:
        print("Snapshots from before the removal are still there: is the service running?")
    if report.clean:
        print(f"{report.files} files, {report.size:,} bytes scanned: nothing left")
        return
    rows = [("file", "found")]
    rows += [(str(file), ", ".join(left)) for file, left in sorted(report.found.items())]
    rows += [(str(file), "can't be read") for file in sorted(report.unreadable)]
    print(table(rows))
    print(f"\n{report.files} files, {report.size:,} bytes scanned")
