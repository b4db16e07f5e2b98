"""``face-serve index``: galleries as index directories, which PaddleX loads too. No service, no
database: for those of a service there is ``face-serve gallery``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from serve_app.cli.inspection import inspect
from serve_app.cli.options import (
    DEFAULT_PIPELINE,
    DeviceOption,
    HpipOption,
    IndexDirectory,
    JsonOption,
    PipelineOption,
    WorkersOption,
)
from serve_app.cli.output import counted, note, print_json, printable
from serve_app.cli.people import gallery_of
from serve_app.errors import InvalidRequestError

if TYPE_CHECKING:
    from serve_app.index.index_data import IndexData

app = typer.Typer(
    help="Build, change and inspect index directories: galleries as files.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
SHOWN_IDS = 20

RootArgument = Annotated[
    Path,
    typer.Argument(
        metavar="ROOT",
        help="A directory of pictures. Without --labels: with gallery.txt in it, or else with a "
        "folder for each person.",
    ),
]
LabelsOption = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="A list: `path label` a line, the paths relative to ROOT."),
]
ElsewhereOption = Annotated[
    Path | None,
    typer.Option(
        "--output", "-o", metavar="DIR", help="Write there, and leave the first as it is."
    ),
]


@app.command()
def build(
    root: RootArgument,
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="DIR", help="The index directory to write.")
    ],
    labels: LabelsOption = None,
    index_type: Annotated[
        str,
        typer.Option(
            "--type",
            metavar="TYPE",
            help="Flat (exact), IVF, HNSW32 or another factory string of FAISS.",
        ),
    ] = "HNSW32",
    metric: Annotated[
        str,
        typer.Option(metavar="METRIC", help="IP (cosine) or L2 (squared distance)."),
    ] = "IP",
    force: Annotated[
        bool, typer.Option("--force", help="Replace the gallery that is in DIR.")
    ] = False,
    pipeline: PipelineOption = DEFAULT_PIPELINE,
    device: DeviceOption = None,
    use_hpip: HpipOption = None,
    workers: WorkersOption = None,
    as_json: JsonOption = False,
) -> None:
    """Enrol pictures of people and write them as an index directory: all, or nothing.

    \b
    Examples:
      face-serve index build people -o staff         (people/Ann/1.jpg, people/Bob/...)
      face-serve index build . --labels gallery.txt -o staff --type Flat
    """
    _check_output(output)
    if not force and _holds_gallery(output):
        raise InvalidRequestError(
            f"{output} holds a gallery already: add to it with `face-serve index append`, or "
            "replace it with --force"
        )
    images, names = gallery_of(root, labels)
    from serve_app.pipeline.create import create_pipeline

    made = create_pipeline(pipeline, device=device, use_hpip=use_hpip, workers=workers).build_index(
        images, names, metric, index_type
    )
    made.save(output)
    _report(made, output, f"{len(made):,} enrolled", {"enrolled": len(made)}, as_json)


@app.command()
def append(
    directory: IndexDirectory,
    root: RootArgument,
    labels: LabelsOption = None,
    output: ElsewhereOption = None,
    pipeline: PipelineOption = DEFAULT_PIPELINE,
    device: DeviceOption = None,
    use_hpip: HpipOption = None,
    workers: WorkersOption = None,
    as_json: JsonOption = False,
) -> None:
    """Enrol more pictures: all, or nothing.

    The pipeline must have the model that the gallery was built with.

    \b
    Example:
      face-serve index append staff new_people
    """
    _check_output(output or directory)
    images, names = gallery_of(root, labels)
    from serve_app.index.index_data import IndexData
    from serve_app.pipeline.create import create_pipeline

    gallery = IndexData.load(directory)  # what is wrong with it shows before networks are loaded
    before = len(gallery)
    create_pipeline(pipeline, device=device, use_hpip=use_hpip, workers=workers).append_index(
        images, names, gallery
    )
    gallery.save(output or directory)
    count = len(gallery) - before
    _report(gallery, output or directory, f"{count:,} more enrolled", {"enrolled": count}, as_json)


@app.command()
def remove(
    directory: IndexDirectory,
    ids: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="IDS",
            help="Ids (3, or 3,5,8), or a file with one a line. `inspect` lists them.",
        ),
    ] = None,
    labels: Annotated[
        list[str] | None,
        typer.Option("--label", metavar="LABEL", help="All of a person; may be given again."),
    ] = None,
    output: ElsewhereOption = None,
    as_json: JsonOption = False,
) -> None:
    """Remove templates by id, or people by label. Ids that are not there are ignored.

    An id is never given again. No network is loaded.

    \b
    Examples:
      face-serve index remove staff 3 5
      face-serve index remove staff remove_ids.txt
      face-serve index remove staff --label "Ann Smith"
    """
    from serve_app.index.index_data import IndexData

    if not ids and not labels:
        raise InvalidRequestError("nothing to remove: give ids, a file of them, or --label")
    gallery = IndexData.load(directory)
    asked = [number for given in ids or [] for number in _ids(given)]
    asked += [number for label in labels or [] for number in _ids_of(label, gallery)]
    gone = gallery.remove(asked)
    gallery.save(output or directory)
    absent = sorted(set(asked) - set(gone))
    if absent and not as_json:
        note(f"not there: {_listed(absent)}")
    text = f"{len(gone):,} removed" + (f" ({_listed(gone)})" if gone else "")
    _report(gallery, output or directory, text, {"removed": gone, "not_there": absent}, as_json)


app.command()(inspect)


def _ids(given: str) -> list[int]:
    """``3``, ``3,5,8``, or the file of that name."""
    from serve_app.pipeline.annotation import read_remove_ids

    parts = given.split(",")
    if all(part.strip().isdecimal() for part in parts):
        return [int(part) for part in parts]
    return read_remove_ids(Path(given))


def _ids_of(label: str, gallery: IndexData) -> list[int]:
    found = [number for number, name in gallery.id_map.items() if name == label]
    if not found:
        raise InvalidRequestError(f"nobody is called {label} in this gallery")
    return found


def _check_output(directory: Path) -> None:
    """Before anything is embedded, which may take hours."""
    if directory.exists() and not directory.is_dir():
        raise InvalidRequestError(f"{directory} is a file: name a directory to write")


def _holds_gallery(directory: Path) -> bool:
    return any((directory / name).exists() for name in ("vector.index", "id_map.yaml"))


def _listed(ids: list[int]) -> str:
    shown = ", ".join(map(str, ids[:SHOWN_IDS]))
    return shown if len(ids) <= SHOWN_IDS else f"{shown} and {len(ids) - SHOWN_IDS:,} more"


def _report(
    gallery: IndexData, directory: Path, text: str, done: dict[str, Any], as_json: bool
) -> None:
    people = len(set(gallery.id_map.values()))
    if as_json:
        print_json(
            {"directory": str(directory), **done, "templates": len(gallery), "people": people}
        )
        return
    held = f"{counted(len(gallery), 'template')} of {counted(people, 'person', 'people')}"
    print(f"{printable(str(directory))}: {text}; {held} now")
