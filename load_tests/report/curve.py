"""The throughput-latency curve: how late answers come as more is asked."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import matplotlib

from load_tests.parts.side_by_side import SideBySide


def draw(runs: Sequence[SideBySide], file: Path) -> None:
    """A panel a picture: median and p99 over images a second, a point for each number of clients;
    what the networks alone reach is a line."""
    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, panels = pyplot.subplots(1, len(runs), figsize=(6 * len(runs), 4.5), squeeze=False)
    for panel, found in zip(panels[0], runs, strict=True):
        rates = [run.summary.rate for run in found.service.values()]
        for name, latencies in (
            ("p50", [run.summary.p50_ms for run in found.service.values()]),
            ("p99", [run.summary.p99_ms for run in found.service.values()]),
        ):
            panel.plot(rates, latencies, marker="o", label=f"service, {name}")
        for clients, run in found.service.items():
            place = (run.summary.rate, run.summary.p50_ms)
            panel.annotate(f" {clients}", place, fontsize=8)
        alone = sum(one.rate for one in found.networks) / len(found.networks)
        panel.axvline(alone, color="grey", linestyle="--", label="networks alone")
        if found.pipeline.single_ms is not None:
            panel.plot(
                [1e3 / found.pipeline.single_ms], [found.pipeline.single_ms], "s", color="black",
                label="in-process pipeline, one at a time",
            )  # fmt: skip
        panel.set(title=found.picture.name, xlabel="images/s", ylabel="ms", yscale="log")
        panel.grid(visible=True, alpha=0.3)
        panel.legend(fontsize=8)
    figure.tight_layout()
    figure.savefig(file, dpi=120)
    pyplot.close(figure)
