"""Where the time of ``predict`` went, as ``--timings`` prints it."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from serve_app.cli.output import aligned, counted

if TYPE_CHECKING:
    from serve_app.pipeline.timings import Report


def as_dict(report: Report) -> dict[str, Any]:
    return dataclasses.asdict(report) | {"share": report.share}


def as_text(report: Report) -> str:
    """Seconds of all workers together, and what part of their time that is."""
    images, faces = counted(report.images, "picture"), counted(report.faces, "face")
    rate = report.images / report.wall_s if report.wall_s else 0.0
    head = f"{images}, {faces} in {report.wall_s:.2f} s: {rate:.1f} pictures/s, "
    head += counted(report.workers, "worker")
    spent = report.stages | {f"{name} network": s for name, s in report.networks.items()}
    rows = [
        (name, f"{seconds:8.2f} s", f"{_part(seconds, report.wall_s * report.workers):6.1%}")
        for name, seconds in spent.items()
    ]
    alone = f"the networks alone: {report.alone_s:.2f} s, {report.share:.2f} of the run"
    return "\n".join([head, *aligned(rows), alone])


def _part(seconds: float, whole: float) -> float:
    return seconds / whole if whole else 0.0
