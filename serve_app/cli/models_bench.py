"""``face-serve models bench``: the runtimes of a pipeline's networks against each other."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Annotated, Any

import typer

from serve_app.cli.options import DEFAULT_PIPELINE, DeviceOption, JsonOption, PipelineOption
from serve_app.cli.output import counted, print_json, table

if TYPE_CHECKING:
    from serve_app.models.selection.measurement import Measurement, Row

HEAD = ("network", "runtime", "ms a run", "ms an image", "x plain", "difference", "")
NUMBERS = slice(2, 5)


def bench(
    pipeline: PipelineOption = DEFAULT_PIPELINE,
    threads: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            min=1,
            max=256,
            help="Threads of one run. Left out: as the pipeline file says.",
        ),
    ] = None,
    device: DeviceOption = None,
    again: Annotated[
        bool, typer.Option("--again", help="Measure even what is remembered.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Which runtime is the fastest for each network of a pipeline, on this machine.

    Each runtime loads the network in a process of its own, which may crash or hang, and answers the
    same input. One whose answer differs from the plain one's is left out. The chosen one is what
    'runtime: fastest' and use_hpip take; the plain one is what 'runtime: auto' takes. What was
    measured is remembered until the machine, a runtime's version or the network changes: do it
    when the machine has nothing else to do.

    \b
    face-serve models bench
    face-serve models bench --pipeline my.yaml --threads 2 --again
    """  # fmt: skip
    from serve_app.config import default_cache_dir, load_pipeline
    from serve_app.models.runtime.devices import choose_device
    from serve_app.models.selection.choice import RunOptions, plain_runtime
    from serve_app.models.selection.fastest import measured
    from serve_app.models.zoo.opening import networks

    config = load_pipeline(pipeline)
    cache_dir = default_cache_dir(os.environ)
    target = choose_device(device or config.device)
    measurements = []
    for network, model in zip(
        networks(config, cache_dir), (config.detector, config.extractor), strict=True
    ):
        options = RunOptions("fastest", target, threads or model.threads, cache_dir)
        plain = plain_runtime(network, options)
        measurements.append(measured(network, plain, options, again=again))
    if as_json:
        print_json([_as_dict(measurement) for measurement in measurements])
    else:
        print(as_text(measurements))


def as_text(measurements: list[Measurement]) -> str:
    """The table, and below it what it holds for."""
    rows = [(m.network, *_cells(m, row)) for m in measurements for row in m.rows]
    widths = [max(len(row[i]) for row in [HEAD, *rows]) for i in range(len(HEAD))]
    right = range(*NUMBERS.indices(len(HEAD)))
    lines = [
        tuple(cell.rjust(widths[i]) if i in right else cell for i, cell in enumerate(row))
        for row in [HEAD, *rows]
    ]
    return "\n".join([table(lines), "", *(_holds_for(m) for m in measurements)])


def _cells(measurement: Measurement, row: Row) -> tuple[str, ...]:
    times = ("", "", "")
    if row.ms is not None:
        plain = measurement.row(measurement.plain).ms
        speed = f"{plain / row.ms:.2f}" if plain else ""
        times = (f"{row.ms:.2f}", f"{row.ms / measurement.images:.2f}", speed)
    return (row.runtime, *times, row.difference or "", _remark(measurement, row))


def _remark(measurement: Measurement, row: Row) -> str:
    marks = [
        name
        for name, runtime in (("plain", measurement.plain), ("chosen", measurement.chosen))
        if runtime == row.runtime
    ]
    if row.left_out is not None:
        marks.append(row.left_out)
    return ", ".join(marks)


def _holds_for(measurement: Measurement) -> str:
    facts = measurement.facts
    images, threads = counted(measurement.images, "image"), counted(int(facts["threads"]), "thread")
    return (
        f"{measurement.network}: {images} a run, {threads} of {facts['cores']} cores, "
        f"{facts['device']}, measured {measurement.taken:%Y-%m-%d %H:%M} UTC; "
        "--again measures anew"
    )


def _as_dict(measurement: Measurement) -> dict[str, Any]:
    return measurement.model_dump(mode="json", exclude={"format"})
