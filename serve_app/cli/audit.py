"""``face-serve audit``: the audit log, on the database itself, beside a running service."""

from __future__ import annotations

import contextlib
import json
import os
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TextIO

import typer

from serve_app.cli.database import (
    DEFAULT_CONFIG,
    ConfigOption,
    DataDirOption,
    open_store,
    read_service_args,
)
from serve_app.cli.durations import seconds_of
from serve_app.cli.output import counted, note, printable
from serve_app.errors import ConfigError

if TYPE_CHECKING:
    from serve_app.audit_rows import AuditRow, ChainHead
    from serve_app.index.store.audit_store import AuditStore
    from serve_app.index.store.verifying import Complaint

app = typer.Typer(help="The audit log: verify, export, heads, prune.", no_args_is_help=True,
                  rich_markup_mode=None)  # fmt: skip

STANDARD = Path("-")
PAGE = 5000
GalleryOption = Annotated[
    str | None, typer.Option(metavar="NAME", help="Only of this gallery: KEY or TENANT/KEY.")
]
OutputOption = Annotated[
    Path, typer.Option(help="A new file, for its owner only; - for standard output.")
]
MomentOption = Annotated[
    datetime | None, typer.Option(formats=["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S"], help="In UTC.")
]


@app.command()
def verify(
    gallery: GalleryOption = None,
    against: Annotated[
        Path | None,
        typer.Option(help="What `audit heads` wrote before: finds what was cut off or rewritten."),
    ] = None,
    pruned: Annotated[
        str | None,
        typer.Option(metavar="TIME", help="What `audit prune --older-than` was given by hand."),
    ] = None,
    config: ConfigOption = DEFAULT_CONFIG,
    data_dir: DataDirOption = None,
) -> None:
    """Check that no row was changed, removed or put in. Exit code 1: one was.

    Without --against it can't be told whether rows were cut off at the end together with the head,
    or a chain was written anew from some row on: whoever may write in the database can do either.
    The oldest rows may be gone only as audit.keep_days and --pruned say.
    """
    kept = [] if against is None else _read_heads(against)
    by_hand = None if pruned is None else seconds_of("--pruned", pruned)
    by_upkeep = read_service_args(config, data_dir, os.environ).audit.keep_s
    keep_s = min((one for one in (by_hand, by_upkeep) if one is not None), default=None)
    with _opened(config, data_dir) as log:
        complaints, rows = log.verify(gallery, kept, keep_s)
    for complaint in complaints:
        print(_complaint(complaint))
    if complaints:
        raise typer.Exit(1)
    compared = "" if against is None else f", {counted(len(kept), 'head')} compared"
    print(f"{counted(rows, 'row')} verified{compared}: nothing was changed")


@app.command()
def export(
    output: OutputOption,
    gallery: GalleryOption = None,
    tenant: Annotated[str | None, typer.Option(metavar="NAME", help="Only of this tenant.")] = None,
    since: MomentOption = None,
    until: MomentOption = None,
    config: ConfigOption = DEFAULT_CONFIG,
    data_dir: DataDirOption = None,
) -> None:
    """Write rows as JSON, one a line, by time."""
    from serve_app.audit_rows import AuditQuery

    asked = AuditQuery(gallery, tenant, _seconds(since), _seconds(until), limit=PAGE)
    count = 0
    with _opened(config, data_dir) as log, written(output) as file:
        for row in log.rows(asked):
            file.write(json.dumps(_facts(row)) + "\n")
            count += 1
    if output != STANDARD:
        print(f"{counted(count, 'row')} written to {output.name}")


@app.command()
def heads(
    output: OutputOption = STANDARD,
    gallery: GalleryOption = None,
    config: ConfigOption = DEFAULT_CONFIG,
    data_dir: DataDirOption = None,
) -> None:
    """Write the end of each chain: keep it where the database's administrators can't reach it."""
    with _opened(config, data_dir) as log:
        found = log.heads(gallery)
    facts = [
        {
            "gallery": head.chain,
            "rows": head.next,
            "digest": head.digest.hex(),
            "at": head.at,
            "first": head.first,
            "first_at": head.first_at,
        }
        for head in found
    ]
    with written(output) as file:
        file.write(json.dumps({"written": time.time(), "heads": facts}, indent=1) + "\n")
    if output != STANDARD:
        print(f"{counted(len(facts), 'head')} written to {output.name}")


@app.command()
def prune(
    older_than: Annotated[str, typer.Option(metavar="TIME", help="Such as 365d.")],
    yes: Annotated[bool, typer.Option("--yes", help="Don't ask.")] = False,
    config: ConfigOption = DEFAULT_CONFIG,
    data_dir: DataDirOption = None,
) -> None:
    """Remove the oldest rows; what is left can still be verified. audit.keep_days of the Serve file
    does it as time goes by."""
    keep_s = seconds_of("--older-than", older_than)
    if not yes:
        typer.confirm(f"Remove rows older than {older_than}? Export them first.", abort=True)
    with _opened(config, data_dir) as log:
        pruned = log.prune(keep_s)
    print(f"{counted(pruned, 'row')} removed")
    if pruned:
        note(f"keep heads anew (`audit heads`); verify takes older ones with --pruned {older_than}")


@contextlib.contextmanager
def written(output: Path) -> Iterator[TextIO]:
    """Standard output, or a new file for its owner only. Raises InvalidRequestError."""
    from serve_app.index.copies.placing import new_file

    if output == STANDARD:
        yield sys.stdout
        return
    with new_file(output) as made, made.open("w", encoding="utf-8") as file:
        yield file


@contextlib.contextmanager
def _opened(config: Path, data_dir: Path | None) -> Iterator[AuditStore]:
    from serve_app.index.store.audit_store import AuditStore

    with contextlib.closing(open_store(config, data_dir, os.environ, reads_sealed=False)) as store:
        yield AuditStore(store)


def _read_heads(file: Path) -> list[ChainHead]:
    from serve_app.audit_rows import ChainHead

    try:
        return [
            ChainHead(
                str(head["gallery"]),
                int(head["rows"]),
                bytes.fromhex(head["digest"]),
                _moment(head["at"]),
                int(head.get("first", 0)),
                _moment(head.get("first_at")),
            )
            for head in json.loads(file.read_text(encoding="utf-8"))["heads"]
        ]
    except (ValueError, LookupError, TypeError, AttributeError):
        raise ConfigError(f"{file.name} is not what `face-serve audit heads` writes") from None


def _moment(value: Any) -> float | None:
    return None if value is None else float(value)


def _complaint(complaint: Complaint) -> str:
    row = "its chain" if complaint.number is None else f"row {complaint.number}"
    return f"gallery {printable(complaint.chain)}: {row} {complaint.what}"


def _facts(row: AuditRow) -> dict[str, Any]:
    return {
        "gallery": row.chain,
        "number": row.number,
        "tenant": row.tenant,
        "at": row.at,
        "time": datetime.fromtimestamp(row.at, UTC).isoformat(timespec="milliseconds"),
        "actor": row.actor,
        "address": row.address,
        "action": row.action,
        "result": row.result,
        "generation": row.generation,
        "seq": row.seq,
        "ids": row.ids,
        "count": row.count,
        "operation": row.operation,
        "digest": row.digest.hex(),
    }


def _seconds(moment: datetime | None) -> float | None:
    return None if moment is None else moment.replace(tzinfo=UTC).timestamp()
