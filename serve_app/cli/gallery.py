"""``face-serve gallery``: what is done with one gallery, on the database itself.

Works beside a running service: its replicas see what is changed here at their next search.
"""

from __future__ import annotations

import contextlib
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from serve_app.cli.database import DEFAULT_CONFIG, ConfigOption, DataDirOption, open_store
from serve_app.cli.erase_check import erase_check
from serve_app.cli.gallery_build import build
from serve_app.cli.gallery_reembed import reembed
from serve_app.cli.options import JsonOption
from serve_app.cli.output import facts, print_json, table

if TYPE_CHECKING:
    from serve_app.types import GalleryEntry

app = typer.Typer(help="Build, list, show, export, import, optimize, roll back, drop and check.",
                  no_args_is_help=True, rich_markup_mode=None)  # fmt: skip
app.command("build")(build)
app.command("reembed")(reembed)
app.command("erase-check")(erase_check)

KEYS_A_PAGE = 1000
UNKNOWN = "unknown"
KeyArgument = Annotated[str, typer.Argument(metavar="KEY", help="The gallery's key.")]


@app.command("list")
def list_galleries(
    config: ConfigOption = DEFAULT_CONFIG,
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """Every gallery, a line each."""
    entries: list[GalleryEntry] = []
    with contextlib.closing(open_store(config, data_dir, os.environ)) as store:
        while page := store.galleries(entries[-1].info.key if entries else "", KEYS_A_PAGE):
            entries += page
    if as_json:
        print_json([_facts(entry) for entry in entries])
        return
    rows = [("key", "templates", "index", "metric", "dimension", "model", "changed")]
    for entry in entries:
        info = entry.info
        rows.append(
            (info.key, str(info.size), info.index_type, info.metric.value, str(info.dimension),
             info.model_id, _time(entry.changed_at) or UNKNOWN)
        )  # fmt: skip
    print(table(rows))


@app.command()
def show(
    key: KeyArgument,
    config: ConfigOption = DEFAULT_CONFIG,
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """A gallery's facts."""
    with contextlib.closing(open_store(config, data_dir, os.environ)) as store:
        found = _facts(store.entry(key))
    if as_json:
        print_json(found)
        return
    found["snapshot"] = "yes" if found["snapshot"] else "no"
    shown = {name: UNKNOWN if value is None else value for name, value in found.items()}
    print(facts({name.replace("_", " "): value for name, value in shown.items()}))


@app.command()
def export(
    key: KeyArgument,
    directory: Annotated[Path, typer.Argument(help="A new directory.")],
    config: ConfigOption = DEFAULT_CONFIG,
    data_dir: DataDirOption = None,
) -> None:
    """Write a gallery as an index directory that PaddleX loads. Writes may go on meanwhile."""
    from serve_app.index.copies.transfer import export_gallery

    with contextlib.closing(open_store(config, data_dir, os.environ)) as store:
        info = export_gallery(store, key, directory, threads=os.cpu_count() or 1)
    print(f"gallery {key}: {info.size} templates written to {directory.name}")


@app.command("import")
def import_directory(
    directory: Annotated[Path, typer.Argument(help="An index directory: PaddleX's or ours.")],
    key: KeyArgument,
    model_id: Annotated[
        str | None,
        typer.Option(
            help="Of the model that made the embeddings, where the directory doesn't say; "
            "left out, that of --pipeline's extractor."
        ),
    ] = None,
    pipeline: Annotated[
        str | None,
        typer.Option(help="face_recognition or a pipeline file, instead of the Serve file's."),
    ] = None,
    config: ConfigOption = DEFAULT_CONFIG,
    data_dir: DataDirOption = None,
) -> None:
    """Make a gallery of an index directory. Its templates keep their ids."""
    from serve_app.cli.model_of import check_dimension, extractor_of
    from serve_app.index.copies.directory import read_directory
    from serve_app.index.copies.transfer import import_gallery
    from serve_app.policy import check_name

    check_name(key)
    content = read_directory(directory)
    model = model_id or content.model_id
    if model is None:
        model, dimension = extractor_of(pipeline, config, data_dir, os.environ)
        check_dimension(directory.name, content.dimension, model, dimension)
    with contextlib.closing(open_store(config, data_dir, os.environ, create=True)) as store:
        info = import_gallery(store, content, key, model)
    print(f"gallery {key}: {info.size} templates of model {model}")


@app.command()
def drop(
    key: KeyArgument,
    yes: Annotated[bool, typer.Option("--yes", help="Don't ask.")] = False,
    config: ConfigOption = DEFAULT_CONFIG,
    data_dir: DataDirOption = None,
) -> None:
    """Remove a gallery with all its templates."""
    from serve_app.index.mutations import Drop

    with contextlib.closing(open_store(config, data_dir, os.environ)) as store:
        size = store.entry(key).info.size
        if not yes:
            typer.confirm(f"Remove gallery {key} with {size} templates?", abort=True)
        receipt = store.do(Drop(key))
    print(f"gallery {key}: dropped, {receipt.count} templates removed")


@app.command()
def rollback(
    key: KeyArgument,
    yes: Annotated[bool, typer.Option("--yes", help="Don't ask.")] = False,
    config: ConfigOption = DEFAULT_CONFIG,
    data_dir: DataDirOption = None,
) -> None:
    """Go back to the gallery that a job replaced. Once more is forth again."""
    from serve_app.index.store.job_store import JobStore
    from serve_app.index.warming import wait_until_warm

    with contextlib.closing(open_store(config, data_dir, os.environ)) as store:
        jobs = JobStore(store)
        now, before = store.entry(key).info, jobs.previous(key)
        if not yes:
            typer.confirm(
                f"Serve {before.size} templates of model {before.model_id} as {key}, instead "
                f"of {now.size} of model {now.model_id}?",
                abort=True,
            )
        wait_until_warm(store, before.generation)
        info = jobs.rollback(key, before.generation)
    print(f"gallery {key}: {info.size} templates of model {info.model_id} are served now")


@app.command()
def optimize(
    key: KeyArgument, config: ConfigOption = DEFAULT_CONFIG, data_dir: DataDirOption = None
) -> None:
    """Ask the service for a fresh index of all that is in the gallery now."""
    from serve_app.index.mutations import Optimize

    with contextlib.closing(open_store(config, data_dir, os.environ)) as store:
        receipt = store.do(Optimize(key))
    print(f"gallery {key}: a running service will build its index of {receipt.count} templates")


def _facts(entry: GalleryEntry) -> dict[str, Any]:
    info = entry.info
    return {
        "key": info.key,
        "templates": info.size,
        "index": info.index_type,
        "metric": info.metric.value,
        "dimension": info.dimension,
        "model": info.model_id,
        "next_id": info.next_id,
        "generation": info.generation,
        "seq": info.seq,
        "snapshot": bool(info.snapshot),
        "created": _time(entry.created_at),
        "changed": _time(entry.changed_at),
    }


def _time(seconds: float) -> str | None:
    """None of a gallery of the schema's first version."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds") if seconds else None
