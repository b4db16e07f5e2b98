"""``face-serve models``: which models there are, what is on this machine, and getting the rest."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from serve_app.cli.models_bench import bench
from serve_app.cli.models_calibrate import calibrate
from serve_app.cli.options import JsonOption
from serve_app.cli.output import complain, facts, print_json, table
from serve_app.errors import FaceServeError

if TYPE_CHECKING:
    from serve_app.models.zoo.download import Patience
    from serve_app.models.zoo.inventory import Holding
    from serve_app.models.zoo.origin import Origin
    from serve_app.models.zoo.table import OfficialModel

app = typer.Typer(
    help="List, show, fetch and measure detectors and extractors.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

FAILED = 2
"""Exit code if a model could not be had: that of every mistake."""


@app.command("list")
def list_models(as_json: JsonOption = False) -> None:
    """Every model that a pipeline file can name, with its published accuracy, size and licence."""
    from serve_app.config import default_cache_dir
    from serve_app.models.zoo.inventory import holding
    from serve_app.models.zoo.table import LICENCE_NOTE, ZOO

    cache_dir = default_cache_dir(os.environ)
    holdings = [holding(model, cache_dir) for model in ZOO.values()]
    if as_json:
        print_json([_facts(entry) for entry in holdings])
        return
    rows = [("name", "task", "accuracy %", "MB", "dimension", "landmarks", "licence", "here")]
    for entry in holdings:
        model = entry.model
        rows.append(
            (model.name, model.task, model.published, f"{model.megabytes:g}",
             str(model.dimension or "-"), "yes" if model.landmarks else "no", model.licence,
             "yes" if entry.here else "no")
        )  # fmt: skip
    print(table(rows))
    print("\naccuracy: detectors, AP on WIDER FACE (easy / medium / hard); extractors, accuracy on "
          "AgeDB-30 / CFP-FP / LFW, SFace on LFW. Published, not measured here.")  # fmt: skip
    print(f"licence: {LICENCE_NOTE}.")
    print("face-serve models show NAME says more, and how to get what is not here.")


@app.command()
def show(
    name: Annotated[str, typer.Argument(metavar="NAME", help="As `models list` writes it.")],
    as_json: JsonOption = False,
) -> None:
    """All that is known of one model, and where it comes from."""
    found = _facts(_held(name))
    if as_json:
        print_json(found)
    else:
        print(facts({key: _text(value) for key, value in found.items()}))


@app.command()
def fetch(
    names: Annotated[
        list[str], typer.Argument(metavar="NAME", help="As `models list` writes them.")
    ],
    mirror: Annotated[
        str | None,
        typer.Option(
            metavar="URL|DIR",
            help="Where the archives lie instead: http(s)://..., file:///... or a directory. "
            "Left out: FACE_SERVE_MODEL_MIRROR, else the official host.",
        ),
    ] = None,
    accept_new_digest: Annotated[
        bool,
        typer.Option(
            "--accept-new-digest",
            help="Fetch even what is here, and trust the archive that comes from now on.",
        ),
    ] = False,
    timeout: Annotated[
        float, typer.Option(metavar="SECONDS", min=1, help="What one archive may take.")
    ] = 1800,
    as_json: JsonOption = False,
) -> None:
    """Download official models, so that nothing has to be when they are used.

    An archive is resumed where it broke off, and must have the SHA-256 of its first download.
    Models that can't be had don't keep the others; the exit code is 2 then.
    """
    from serve_app.models.zoo.download import Patience
    from serve_app.models.zoo.origin import origin

    source = origin(mirror, os.environ)
    order = _Order(source, Patience(total=timeout), accept_new_digest)
    held = [_held(name) for name in dict.fromkeys(names)]  # all are known, before one is fetched
    results = [order.deliver(entry) for entry in held]
    if as_json:
        print_json(results)
    for result in results:
        if result["error"]:
            complain(result["error"])
        elif not as_json:
            print(f"{result['name']}: {result['status']}, SHA-256 {result['sha256']}")
    if any(result["error"] for result in results):
        raise typer.Exit(FAILED)


app.command("bench")(bench)
app.command("calibrate")(calibrate)


@dataclass(frozen=True, slots=True)
class _Order:
    source: Origin
    patience: Patience
    accept_new_digest: bool

    def deliver(self, entry: Holding) -> dict[str, Any]:
        from serve_app.models.zoo.table import OfficialModel

        model, error = entry.model, None
        status = "here already"
        if not entry.here and not isinstance(model, OfficialModel):
            error = f"{model.name} comes with the {entry.origin}: {entry.get}"
        elif isinstance(model, OfficialModel) and (not entry.here or self.accept_new_digest):
            try:
                self._fetch(model)
                status = "fetched"
            except FaceServeError as problem:
                error = str(problem)
        after = _held(model.name)
        return {
            "name": model.name,
            "status": "failed" if error else status,
            "sha256": after.sha256,
            "error": error,
        }

    def _fetch(self, model: OfficialModel) -> None:
        from serve_app.config import default_cache_dir
        from serve_app.models.zoo.cache import ModelCache
        from serve_app.models.zoo.fetch import fetch as fetch_model
        from serve_app.models.zoo.progress import progress_bar

        with progress_bar(model.name) as progress:
            fetch_model(
                model,
                ModelCache(default_cache_dir(os.environ)),
                self.source,
                progress,
                patience=self.patience,
                accept_new_digest=self.accept_new_digest,
            )


def _text(value: object) -> object:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "-" if value is None else value


def _held(name: str) -> Holding:
    """Raises ConfigError for a model that nobody knows."""
    from serve_app.config import default_cache_dir
    from serve_app.models.zoo.inventory import holding
    from serve_app.models.zoo.table import find

    return holding(find(name), default_cache_dir(os.environ))


def _facts(entry: Holding) -> dict[str, Any]:
    from serve_app.models.zoo.table import LICENCE_NOTE

    model = entry.model
    return {
        "name": model.name,
        "task": model.task,
        "accuracy": model.published,
        "measure": model.measure,
        "megabytes": model.megabytes,
        "takes": model.takes,
        "landmarks": model.landmarks,
        "dimension": model.dimension,
        "licence": f"{model.licence} ({LICENCE_NOTE})",
        "origin": entry.origin,
        "sha256": entry.sha256,
        "here": entry.here,
        "directory": entry.directory,
        "get": entry.get,
    }
