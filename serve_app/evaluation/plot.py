"""Draws an evaluation's curves: ROC, and FNIR over FPIR where there is a 1:N search."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

from serve_app.errors import ConfigError, InvalidRequestError
from serve_app.evaluation.figures.identification import Identification, SearchPoint
from serve_app.evaluation.figures.rates import SUPPORT, in_words, rounded_up
from serve_app.evaluation.run import Evaluation, PairRates

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SUFFIXES = (".png", ".svg", ".pdf")

INK, MUTED, GRID, SHADE = "#1c2733", "#66727f", "#e3e7ec", "#f3f5f8"
LINE, WISH = "#1f5fbf", "#d9480f"


def check_plot(path: Path) -> None:
    """Before the long work. Raises ConfigError if matplotlib is not installed, InvalidRequestError
    if ``path`` can't become a picture."""
    try:
        import matplotlib  # noqa: F401
    except ImportError:
        raise ConfigError(
            "--plot needs matplotlib, which is not installed: pip install 'face-serve[plot]'"
        ) from None
    if path.suffix.lower() not in SUFFIXES:
        raise InvalidRequestError(
            f"--plot {path.name}: a name that ends in {', '.join(SUFFIXES)} is expected"
        )
    if not path.parent.is_dir():
        raise InvalidRequestError(f"--plot {path.name}: its directory does not exist")


def plot(result: Evaluation, path: Path) -> None:
    """Writes the picture. Raises as ``check_plot``, and InvalidRequestError if it can't be
    written."""
    check_plot(path)
    from matplotlib.figure import Figure  # no pyplot: no window, no state of the process

    search = result.identification if any(p.fpir for p in result.search_curve) else None
    panels = 2 if search else 1
    figure = Figure(figsize=(7.4 * panels, 5.4), facecolor="white")
    figure.subplots_adjust(
        left=0.125 / panels, right=1 - 0.04 / panels, top=0.82, bottom=0.125, wspace=0.2
    )
    axes = figure.subplots(1, panels, squeeze=False)[0]
    _roc(axes[0], result.pair_rates)
    if search:
        _search(axes[1], search, result.search_curve)
    figure.text(
        0.125 / panels, 0.955, f"{result.set_name}: {result.images:,} images, {result.model_id}",
        fontsize=10, color=MUTED, va="center", parse_math=False,
    )  # fmt: skip
    try:
        figure.savefig(path, dpi=160)
    except OSError as error:
        raise InvalidRequestError(f"{path.name} can't be written: {error.strerror}") from None


def _roc(axes: Axes, rates: PairRates) -> None:
    points = [point for point in rates.curve if point.fpr]
    _dress(
        axes,
        "Verification, 1:1",
        f"{rates.genuine:,} genuine and {rates.impostor:,} impostor pairs",
        "FPR: impostor pairs that pass",
        "TPR: genuine pairs that pass",
    )
    if not points:
        axes.text(0.1, 0.5, "no genuine or no impostor pairs", transform=axes.transAxes)
        return
    supported = SUPPORT / rates.impostor
    _curve(axes, [(p.fpr, p.tpr) for p in points], supported)
    axes.set_xlim(min(0.1, points[0].fpr), 1)
    bottom = _floor(next((p.tpr for p in points if p.fpr >= supported), 0))
    axes.set_ylim(bottom, 1 + (1 - bottom) * 0.04)
    axes.yaxis.set_major_formatter(lambda value, _: f"{100 * value:g} %" if value <= 1 else "")
    _unsupported(axes, supported, f"fewer than {SUPPORT} false matches")
    for point in rates.at_fpr:
        if point.tpr is not None:
            name = f"TPR at FPR {in_words(point.fpr)}, threshold {point.threshold:.3f}"
            _mark(axes, point.fpr, point.tpr, name, below=True)
    _wished(axes, rates)
    if axes.get_legend_handles_labels()[0]:
        _legend(axes, "lower right")


def _wished(axes: Axes, rates: PairRates) -> None:
    wished = rates.wished
    if wished.threshold is None:
        return
    name = f"wished FMR {in_words(wished.fmr)}: threshold {rounded_up(wished.threshold)}"
    if span := wished.threshold_interval:
        name += f"\n95 % interval {span.low:.3f} to {span.high:.3f}"
    if span := wished.achieved_interval:
        axes.axvspan(span.low, span.high, color=WISH, alpha=0.16, lw=0, zorder=1)
    axes.axvline(wished.fmr, color=WISH, lw=1.3, ls=(0, (4, 3)), zorder=2, label=name)


def _search(axes: Axes, figures: Identification, curve: list[SearchPoint]) -> None:
    _dress(
        axes,
        "Identification, 1:N",
        f"{figures.probes:,} probes and {figures.strangers:,} strangers against "
        f"{figures.templates:,} templates of {figures.people:,} people",
        "FPIR: strangers that pass",
        "FNIR: probes that are not recognised",
    )
    from matplotlib.ticker import LogLocator, NullLocator

    axes.set_yscale("log")
    least = 0.5 / figures.probes  # where none is missed: the lower edge
    points = [(point.fpir, max(point.fnir, least)) for point in curve if point.fpir]
    supported = SUPPORT / figures.strangers
    _curve(axes, points, supported, drawstyle="steps-post")
    axes.set_xlim(min(0.1, points[0][0]), 1)
    shares = [fnir for _, fnir in points]
    axes.set_ylim(max(least, min(shares) / 2), min(1, max(shares) * 3))
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axis.set_minor_locator(NullLocator())
        axis.set_major_formatter(lambda value, _: f"{100 * value:.4g} %")
    _unsupported(axes, supported, f"fewer than {SUPPORT} strangers")
    if figures.fnir is not None and figures.accepted_strangers:
        rate = figures.accepted_strangers / figures.strangers
        name = f"FNIR at FPIR {100 * figures.fpir:g} %, threshold {figures.threshold:.3f}"
        _mark(axes, rate, max(figures.fnir, least), name, below=False)
        _legend(axes, "upper right")


def _curve(
    axes: Axes,
    points: list[tuple[float, float]],
    supported: float,
    drawstyle: Literal["default", "steps-post"] = "default",
) -> None:
    """Pale where too few cases stand behind it."""
    first = next((n for n, (rate, _) in enumerate(points) if rate >= supported), len(points))
    for part, alpha in ((points[: first + 1], 0.4), (points[first:], 1.0)):
        across, up = [rate for rate, _ in part], [share for _, share in part]
        axes.plot(across, up, color=LINE, lw=2.3, alpha=alpha, drawstyle=drawstyle, zorder=3)


def _dress(axes: Axes, title: str, subtitle: str, across: str, up: str) -> None:
    axes.set_xscale("log")
    axes.set_title(title, loc="left", fontsize=13, fontweight="bold", color=INK, pad=24)
    axes.text(0, 1.025, subtitle, transform=axes.transAxes, fontsize=9, color=MUTED)
    axes.set_xlabel(across, color=INK, fontsize=10, labelpad=8)
    axes.set_ylabel(up, color=INK, fontsize=10, labelpad=8)
    axes.grid(which="major", color=GRID, lw=0.8)
    axes.set_axisbelow(True)
    axes.tick_params(which="both", length=0, colors=MUTED, labelsize=9)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.spines["bottom"].set_color(MUTED)


def _unsupported(axes: Axes, rate: float, why: str) -> None:
    """Greys out the rates that too few cases stand behind."""
    start, end = axes.get_xlim()
    if rate <= start:
        return
    axes.axvspan(start, min(rate, end), color=SHADE, zorder=0, lw=0)
    axes.text(
        start, 0.03, f" {why}", transform=axes.get_xaxis_transform(), rotation=90, fontsize=8.5,
        color=MUTED, va="bottom", ha="left",
    )  # fmt: skip


def _mark(axes: Axes, rate: float, share: float, name: str, *, below: bool) -> None:
    """An operating point, its share beside it, its name in the legend."""
    axes.plot(
        rate, share, "o", ms=8.5, color=LINE, mec="white", mew=1.6, zorder=5,
        label=f"{100 * share:.2f} % {name}",
    )  # fmt: skip
    axes.annotate(
        f"{100 * share:.2f} %", (rate, share), xytext=(7, -13 if below else 13),
        textcoords="offset points", fontsize=10, fontweight="bold", color=INK, va="center",
        zorder=6,
    )  # fmt: skip


def _legend(axes: Axes, place: Literal["lower right", "upper right"]) -> None:
    legend = axes.legend(loc=place, fontsize=9.5, labelcolor=INK, edgecolor="none", framealpha=0.92)
    legend.set_zorder(7)


def _floor(lowest: float) -> float:
    """Where the vertical axis starts: a round share below the curve's start, with room."""
    return max(0.0, int((1 - 1.5 * (1 - lowest)) * 20) / 20) if lowest < 1 else 0.95
