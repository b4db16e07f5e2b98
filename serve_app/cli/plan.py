"""``face-serve plan``: what to give each stage for a load, from measured figures."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from serve_app.cli.options import JsonOption
from serve_app.cli.output import counted, facts, print_json, table

if TYPE_CHECKING:
    from serve_app.planning.costs import Costs, Run
    from serve_app.planning.limits import Limit
    from serve_app.planning.sizing import Plan
    from serve_app.planning.waiting import Latency

SHOWN = 5
"""Limits, those nearest to their end."""


def plan(
    rps: Annotated[float, typer.Option(metavar="N", help="Pictures a second, at the peak.")],
    faces: Annotated[float, typer.Option(metavar="M", help="Faces of a picture.")] = 1,
    gallery: Annotated[int, typer.Option(metavar="N", help="Templates, 128 floats each.")] = 10_000,
    utilisation: Annotated[
        float, typer.Option(metavar="SHARE", help="Of the highest throughput, to plan with.")
    ] = 0.65,
    node_cpus: Annotated[int, typer.Option(metavar="N", help="Processors of a node.")] = 16,
    node_memory: Annotated[float, typer.Option(metavar="GB", help="Memory of a node.")] = 64,
    at_least: Annotated[
        int, typer.Option(metavar="N", help="Replicas of each stage; 2: one may end.")
    ] = 2,
    report: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="A report.json of `make bench` on your machine. Left out: our own.",
        ),
    ] = None,
    check: Annotated[
        bool, typer.Option("--check", help="Hold the model against the report's own runs, too.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Say what to give each stage for a load: replicas, processors, memory, nodes.

    All figures come of a report of `make bench`: processors unlike those give other ones. How the
    plan is made and how well it predicts: docs/capacity.md.

    \b
    Examples:
      face-serve plan --rps 50 --faces 2 --gallery 1000000
      face-serve plan --rps 50 --report out/bench/report.json --check
    """
    from serve_app.planning.costs import DEFAULT_REPORT, read_costs
    from serve_app.planning.limits import limits
    from serve_app.planning.prediction import expected, predicted
    from serve_app.planning.sizing import Load
    from serve_app.planning.sizing import plan as planned

    load = Load(rps, faces, gallery, utilisation, node_cpus, node_memory, at_least)
    costs = read_costs(report or DEFAULT_REPORT)
    made = planned(load, costs)
    latency = expected(made, costs)
    nearest = limits(made, latency, costs)
    runs = [(run, predicted(run, costs)) for run in costs.runs] if check else []
    if as_json:
        print_json(
            {
                "measured": {"machine": costs.machine, "date": costs.date},
                **dataclasses.asdict(made),
                "latency": dataclasses.asdict(latency),
                "limits": [dataclasses.asdict(one) for one in nearest],
                "check": [
                    {"measured": dataclasses.asdict(run), "predicted": dataclasses.asdict(found)}
                    for run, found in runs
                ],
            }
        )
    else:
        _print(made, latency, nearest, costs)
        if runs:
            _print_check(runs)


def _print(made: Plan, latency: Latency, nearest: list[Limit], costs: Costs) -> None:
    rows = [("stage", "replicas", "CPUs", "GB each", "CPU-ms a picture", "utilisation")]
    rows += [
        (name, f"{one.replicas:,}", f"{one.replicas:,}", f"{one.memory_mb / 1e3:.1f}",
         f"{one.image_ms:.2f}", f"{one.utilisation:.0%}")
        for name, one in made.stages.items()
    ]  # fmt: skip
    print(table([*rows, ("HAProxy and Ray", "", f"{made.rest_cpus:.1f}", "", "", "")]))
    size, index = made.load, made.gallery
    print()
    print(
        facts(
            {
                "nodes": f"{made.nodes:,} of {size.node_cpus} CPUs and {size.node_gb:g} GB, "
                "and the head",
                "latency": f"p50 {latency.p50_ms:.0f} ms, p99 {latency.p99_ms:.0f} ms",
                "gallery": f"{size.gallery:,} templates, {index.index_type}, "
                f"{counted(index.shards, 'shard')}",
                "": f"{index.replica_mb / 1e3:.1f} GB in each Index replica (two copies while a "
                f"new index is swapped in), {index.search_ms:.1f} ms a face",
                " ": f"loaded in {_time(index.load_s)}, built in {_time(index.build_s)}",
                "binds first": f"{nearest[0].name} ({nearest[0].use:.0%}): {nearest[0].then}",
            }
        )
    )
    print()
    print(
        table(
            [
                ("nearest limits", "used", "known by"),
                *((one.name, f"{one.use:.0%}", one.basis) for one in nearest[:SHOWN]),
            ]
        )
    )
    print(f"\nMeasured on {costs.machine}, {costs.date}.")


def _print_check(runs: Sequence[tuple[Run, Latency]]) -> None:
    print(
        table(
            [
                ("faces", "load", "pictures/s", "model", "p50 ms", "model", "p99 ms", "model"),
                *(
                    (str(run.faces), f"{run.rate:.0f}/s" if run.rate else f"{run.clients} clients",
                     *(f"{value:.0f}" for value in (
                         run.images_s, found.rate, run.p50_ms, found.p50_ms, run.p99_ms,
                         found.p99_ms)))
                    for run, found in runs
                ),
            ]
        )
    )  # fmt: skip


def _time(seconds: float) -> str:
    for unit, length in (("h", 3600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:,.0f} {unit}"
    return f"{seconds:.1f} s"
