"""``face-serve models calibrate``: which lower precisions do as well on photographs of your own."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from serve_app.cli.options import DEFAULT_PIPELINE, JsonOption, PipelineOption
from serve_app.cli.output import counted, note, print_json, table
from serve_app.errors import ConfigError

if TYPE_CHECKING:
    from serve_app.models.precision.precision import Kind
    from serve_app.models.precision.record import PrecisionRecord, PrecisionRow

HEAD = (
    "precision", "ms a face", "x fp32", "1:1 %", "TPR %", "recognised %", "cosine, mean", "least",
    "compatible", "allowed",
)  # fmt: skip
NUMBERS = range(1, 8)


def calibrate(
    photographs: Annotated[
        Path,
        typer.Argument(
            metavar="DIRECTORY",
            help="A directory of people or with lists, as `evaluate` takes it.",
        ),
    ],
    pipeline: PipelineOption = DEFAULT_PIPELINE,
    images: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="What the paths in lists are relative to. Left out: the directory of the lists.",
        ),
    ] = None,
    precision: Annotated[
        str | None,
        typer.Option(
            metavar="LIST",
            help="Which lower ones to measure; only those may be chosen then. Left out: bf16,int8 "
            "on CPUs, fp16 on GPUs.",
        ),
    ] = None,
    new_int8: Annotated[
        bool,
        typer.Option(
            "--new-int8",
            help="Make another int8 network of these photographs, even if there is one.",
        ),
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Find lower precisions of a pipeline's extractor that are faster and as accurate.

    Every image is embedded at fp32 and at each lower precision: on a GPU fp16, else bf16 where the
    processor has it,
    and int8, for which a network is made of 300 faces of the gallery (once; it needs the library
    NNCF, pip install 'face-serve[calibrate]'). The figures are those of `evaluate`.

    A precision is allowed if no figure that has 1,000 pairs or probes behind it is more than 0.1
    percentage points worse than at fp32, at thresholds of its own and at those in use; and if it is
    compatible: the same holds with its probes in a gallery of fp32 and the reverse. `use_hpip:
    true` then runs the fastest that is allowed, on this machine, and galleries of either are
    searched with both. `precision: int8` in the pipeline file takes one that is not compatible; its
    galleries are its own then. Measure when the machine has nothing else to do.

    \b
    face-serve models calibrate people
    face-serve models calibrate lfw/pairs.txt --images lfw/images --precision bf16
    """
    from serve_app.cli.evaluate import bar
    from serve_app.config import default_cache_dir, load_pipeline
    from serve_app.config.device import parse_device
    from serve_app.evaluation.precision.calibration import calibrate as run
    from serve_app.evaluation.precision.extractors import PipelineExtractors
    from serve_app.evaluation.sets import open_set
    from serve_app.models.precision.precision import LOWER_ON
    from serve_app.models.precision.record import PrecisionRecords

    config, cache_dir = load_pipeline(pipeline), default_cache_dir(os.environ)
    named = None if precision is None else kinds(precision)
    extractors = PipelineExtractors(config, cache_dir, anew=new_int8)
    wanted = named or LOWER_ON[parse_device(extractors.facts["device"]).kind]
    record = run(open_set(photographs, images), extractors, wanted, bar)
    PrecisionRecords(cache_dir).keep(record)
    if as_json:
        print_json(as_dict(record))
        return
    print(as_text(record))
    if new_int8:
        note(
            "If an int8 network was in use before: galleries with templates of both are unchecked."
        )


def kinds(text: str) -> list[Kind]:
    """``bf16,int8`` in the order in which they are preferred, whatever the order here."""
    from serve_app.models.precision.precision import LOWER_ON

    lower = [kind for kinds_there in LOWER_ON.values() for kind in kinds_there]
    given = {part.strip() for part in text.split(",")}
    if unknown := given - set(lower):
        raise ConfigError(
            f"--precision: {', '.join(sorted(unknown))} is none of {', '.join(lower)}"
        )
    return [kind for kind in lower if kind in given]


def as_text(record: PrecisionRecord) -> str:
    """The table, what speaks against a precision, and what follows."""
    cells = [HEAD, *(_cells(row, record.rows[0].ms) for row in record.rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(HEAD))]
    rows = [
        tuple(cell.rjust(widths[i]) if i in NUMBERS else cell for i, cell in enumerate(row))
        for row in cells
    ]
    remarks = [f"{row.precision}: {remark}" for row in record.rows for remark in _remarks(row)]
    threads = counted(int(record.facts["threads"]), "thread")
    holds_for = (
        f"{record.network}{', mirrored' if record.mirror else ''}: "
        f"{counted(record.images, 'face')}, {threads}, {record.taken:%Y-%m-%d %H:%M} UTC; "
        f"may be mixed: {', '.join(map(str, record.mixable))}"
    )
    return "\n".join([table(rows), "", *remarks, holds_for])


def as_dict(record: PrecisionRecord) -> dict[str, Any]:
    found = record.model_dump(mode="json", exclude={"format"})
    for entry, row in zip(found["rows"], record.rows, strict=True):
        entry |= {"accurate": row.accurate, "allowed": row.allowed}
    return found


def _cells(row: PrecisionRow, fp32_ms: float | None) -> tuple[str, ...]:
    if row.left_out is not None:
        return (row.precision, *[""] * len(NUMBERS), "no", "no")
    faster = f"{fp32_ms / row.ms:.2f}" if fp32_ms and row.ms else ""
    shares = [
        "" if share is None else f"{100 * share:.2f}"
        for share in (row.accuracy, row.tpr, row.recognised)
    ]
    cosines = ["" if c is None else f"{c:.5f}" for c in (row.cosine_mean, row.cosine_least)]
    return (
        row.precision, f"{row.ms or 0:.2f}", faster, *shares, *cosines,
        "no" if row.apart else "yes", "yes" if row.allowed else "no",
    )  # fmt: skip


def _remarks(row: PrecisionRow) -> list[str]:
    if row.left_out is not None:
        return [f"left out: {row.left_out}"]
    return [*row.lost, *([f"not compatible: {row.apart}"] if row.apart else [])]
