"""``face-serve people``: everything that is held about a label, and erasing it everywhere, on the
database itself."""

from __future__ import annotations

import base64
import contextlib
import json
import os
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from serve_app.cli.audit import STANDARD, OutputOption, written
from serve_app.cli.database import DEFAULT_CONFIG, ConfigOption, DataDirOption, open_store
from serve_app.cli.output import complain, counted, note

if TYPE_CHECKING:
    from serve_app.held import HeldRow, HeldTemplate
    from serve_app.index.store import GalleryStore

app = typer.Typer(help="What is held about a person: export it, erase it.",
                  no_args_is_help=True, rich_markup_mode=None)  # fmt: skip

PAGE = 1000
LabelArgument = Annotated[str, typer.Argument(metavar="LABEL", help="As it was enrolled.")]
TenantOption = Annotated[
    str, typer.Option(metavar="NAME", help="Whose galleries; left out, those of no tenant.")
]


@app.command()
def export(
    label: LabelArgument,
    tenant: TenantOption = "",
    embeddings: Annotated[
        bool, typer.Option("--embeddings", help="With the embeddings, base64 of float32.")
    ] = False,
    output: OutputOption = STANDARD,
    config: ConfigOption = DEFAULT_CONFIG,
    data_dir: DataDirOption = None,
) -> None:
    """Write everything that is held about a label as JSON. The audit log tells of it.

    Backups, exports and snapshots that may still hold what was removed are not listed:
    docs/erasure.md says which, and for how long.
    """
    from serve_app.index.store.people_store import PeopleStore

    templates: list[dict[str, Any]] = []
    rows: list[dict[str, Any]] = []
    with contextlib.closing(open_store(config, data_dir, os.environ)) as store:
        _check(store, tenant)
        people, after = PeopleStore(store), None
        while True:
            page = people.held(tenant, label, after, PAGE, embeddings=embeddings)
            templates += map(_template, page.templates)
            rows += map(_row, page.rows)
            after = page.next
            if after is None:
                break
    held = {"label": label, "tenant": tenant, "templates": templates, "rows": rows}
    with written(output) as file:
        file.write(json.dumps(held, indent=1) + "\n")
    if output != STANDARD:
        print(f"{counted(len(templates), 'template')} and {counted(len(rows), 'row')} of jobs' "
              f"inputs written to {output.name}")  # fmt: skip


@app.command()
def erase(
    label: LabelArgument,
    tenant: TenantOption = "",
    yes: Annotated[bool, typer.Option("--yes", help="Don't ask.")] = False,
    config: ConfigOption = DEFAULT_CONFIG,
    data_dir: DataDirOption = None,
) -> None:
    """Erase a label everywhere: in every gallery, also one that is kept for a rollback or made by a
    job, and in what is kept of jobs' inputs. Exit code 1: not everywhere yet; run it again."""
    from serve_app.index.store.people_store import PeopleStore

    if not yes:
        typer.confirm("Erase this label in every gallery of the tenant?", abort=True)
    with contextlib.closing(open_store(config, data_dir, os.environ)) as store:
        _check(store, tenant)
        done = PeopleStore(store).erase(tenant, label)
    for one in done.erased:
        what = "row of a job's input" if one.where == "input" else f"{one.where} template"
        whats = "rows of a job's input" if one.where == "input" else f"{one.where} templates"
        print(f"{one.key}: {counted(one.count, what, whats)} erased")
    if not done.erased:
        print("nothing was left to erase")
    if done.running:
        note("not over yet, so their inputs may bring the label again: " + ", ".join(done.running))
    if done.failed:
        complain("not erased in " + ", ".join(done.failed) + ": run it again")
        raise typer.Exit(1)


def _check(store: GalleryStore, tenant: str) -> None:
    """Refuse a tenant that is not there, and say where is looked. Raises InvalidRequestError."""
    from serve_app.errors import InvalidRequestError
    from serve_app.index.store.access_store import AccessStore
    from serve_app.index.store.encryption_store import EncryptionStore
    from serve_app.policy import check_tenant

    if tenant:
        check_tenant(tenant)
    named = {one.tenant.name for one in AccessStore(store).holdings()}
    known = named | set(EncryptionStore(store).tenants())  # also "", of no tenant
    if tenant not in known:
        raise InvalidRequestError(
            f"there is no tenant {tenant}: `face-serve tenants list` names those that there are"
        )
    looked = f"looking at galleries of {f'tenant {tenant}' if tenant else 'no tenant'} only"
    others = sorted(known - {tenant, ""})
    without = "those of no tenant" if tenant else ""
    rest = ", ".join(filter(None, [without, *others]))
    note(f"{looked}; not looked at: {rest}" if rest else looked)


def _template(held: HeldTemplate) -> dict[str, Any]:
    blob = held.embedding
    return {
        "gallery": held.key,
        "where": held.where.value,
        "job": held.job or None,
        "generation": held.generation,
        "model": held.model_id,
        "id": held.id,
        "added": None if held.added_at is None else _time(held.added_at),
        "source": held.source,
        **({} if blob is None else {"embedding": base64.b64encode(blob).decode("ascii")}),
    }


def _row(row: HeldRow) -> dict[str, Any]:
    return {
        "job": row.job,
        "gallery": row.key,
        "position": row.position,
        "outcome": row.outcome,
        "reason": row.reason,
        "source": row.source,
    }


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")
