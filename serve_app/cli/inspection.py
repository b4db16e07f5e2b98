"""``face-serve index inspect``: what an index directory holds, and whether its files agree."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from serve_app.cli.options import IndexDirectory, JsonOption
from serve_app.cli.output import facts, print_json, table

FACTS_FILE = "face_serve.json"


def inspect(
    directory: IndexDirectory,
    templates: Annotated[
        bool, typer.Option("--templates", help="List every template: its id and its label.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Say what an index directory holds, and check that its files agree.

    \b
    Examples:
      face-serve index inspect staff
      face-serve index inspect staff --templates
    """
    from serve_app.index.index_data import IndexData

    gallery = IndexData.load(directory)  # raises where files are missing, damaged or disagree
    id_map = gallery.id_map
    files = {file.name: file.stat().st_size for file in sorted(directory.iterdir())}
    ours = FACTS_FILE in files
    checks = ["counts", "ids and labels", "metric and type", "vectors' lengths"]
    values: dict[str, Any] = {
        "directory": str(directory),
        "index_type": gallery.index_type,
        "metric_type": gallery.metric_type,
        "templates": len(gallery),
        "people": len(set(id_map.values())),
        "dimension": gallery.dimension,
        "model": gallery.model_id,
        "next_id": gallery.next_id,
        "files": files,
        "checks": [*checks, "digests", "dimension"] if ours else checks,
    }
    if as_json:
        listed = {str(number): label for number, label in id_map.items()}
        print_json(values | ({"id_map": listed} if templates else {}))
        return
    values |= {
        "model": gallery.model_id or f"unknown: there is no {FACTS_FILE}, as PaddleX wrote it",
        "files": ", ".join(f"{name} ({size:,} bytes)" for name, size in files.items()),
        "checks": f"passed: {', '.join(values['checks'])}",
    }
    print(facts({name.replace("_", " "): value for name, value in values.items()}))
    if templates:
        rows = [("id", "label"), *((str(number), label) for number, label in id_map.items())]
        print("\n" + table(rows))
