"""An evaluation as text for people: each figure with what it is a share of."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence

from serve_app.evaluation.figures.identification import Identification
from serve_app.evaluation.figures.rates import OperatingPoint, WishedRate, in_words, rounded_up
from serve_app.evaluation.figures.verification import Verification
from serve_app.evaluation.run import Evaluation, PairRates

WIDTH = 100
REFUSED = "refused"

INTERVALS = (
    "Intervals are for other people like these. Pairs that share a person are not independent: "
    "Wilson's interval takes the number of independent pairs that a jackknife over people finds."
)

Row = tuple[str, str, str]
"""Name of a figure, its value, and what it means here."""


def report(result: Evaluation) -> str:
    """All figures, in lines of at most ``WIDTH`` characters where names allow."""
    sections: list[tuple[str, list[Row]]] = []
    if result.verification:
        sections.append((f"1:1 accuracy ({result.pairs_from})", [*_accuracy(result.verification)]))
    sections.append((_scope(result.pair_rates), [*_rates(result.pair_rates)]))
    if result.identification:
        sections.append((f"1:N search ({result.search_from})", [*_search(result.identification)]))
    rows = [row for _, section in sections for row in section]
    columns = [max(len(row[column]) for row in rows) + 2 for column in (0, 1)]
    parts = [_head(result), *(_section(title, rows, columns) for title, rows in sections)]
    if result.pair_rates.wished.achieved_interval:
        parts.append(textwrap.fill(INTERVALS, WIDTH))
    return "\n\n".join(parts)


def _head(result: Evaluation) -> str:
    lines = [f"set      {result.set_name}: {result.images:,} images"]
    if result.failures:
        name, reason = next(iter(result.failures.items()))
        others = result.without_face - 1
        more = f" (and {others:,} others: --json names them)" if others else ""
        lines[0] += f", {result.without_face:,} of them can't be enrolled"
        lines.append(f"         {name}: {reason}{more}")
    else:
        lines[0] += ", a face was found in every one"
    return "\n".join([*lines, f"model    {result.model_id}"])


def _section(title: str, rows: Iterable[Row], columns: Sequence[int]) -> str:
    lines = textwrap.wrap(title, WIDTH, subsequent_indent="     ")
    for name, value, note in rows:
        start = f"  {name:<{columns[0]}}{value:<{columns[1]}}"
        lines += textwrap.wrap(start + note, WIDTH, subsequent_indent=" " * len(start))
    return "\n".join(lines)


def _accuracy(figures: Verification) -> Iterable[Row]:
    kinds = f"{figures.genuine:,} genuine, {figures.pairs - figures.genuine:,} impostor pairs"
    if figures.ten_fold_accuracy is None:
        yield "ten folds", REFUSED, f"too few pairs ({kinds})"
    elif figures.ten_fold_error is None or figures.ten_fold_deviation is None:
        yield "ten folds", _percent(figures.ten_fold_accuracy), f"of a single one ({kinds})"
    else:
        yield (
            "ten folds",
            f"{100 * figures.ten_fold_accuracy:.2f} ± {100 * figures.ten_fold_error:.2f} %",
            "mean and standard error; each fold is judged at the threshold that is best on the "
            f"other nine; standard deviation {100 * figures.ten_fold_deviation:.2f} ({kinds})",
        )
    yield (
        "best threshold",
        f"{figures.threshold:.3f}",
        f"{_percent(figures.accuracy)} on the very pairs that chose it: {figures.wrong:,} of "
        f"{figures.pairs:,} are wrong",
    )


def _scope(figures: PairRates) -> str:
    pairs = f"{figures.genuine:,} genuine, {figures.impostor:,} impostor pairs"
    if figures.people is None:
        return f"1:1, listed pairs only, as the list doesn't say who is who ({pairs})"
    strangers = f" and {figures.nameless:,} strangers" if figures.nameless else ""
    return f"1:1, all pairs of {figures.people:,} people{strangers} ({pairs})"


def _rates(figures: PairRates) -> Iterable[Row]:
    for point in figures.at_fpr:
        yield f"TPR at FPR {in_words(point.fpr)}", *_point(point, figures)
    yield from _wished(figures.wished, figures.impostor)


def _point(point: OperatingPoint, figures: PairRates) -> tuple[str, str]:
    if point.tpr is None or point.threshold is None:
        return REFUSED, point.refused or ""
    return _percent(point.tpr), (
        f"at threshold {point.threshold:.3f}: {point.true_matches:,} of {figures.genuine:,} "
        f"genuine pairs reach it, and {point.false_matches:,} impostor pairs"
    )


def _wished(wished: WishedRate, impostors: int) -> Iterable[Row]:
    name = f"threshold at FMR {in_words(wished.fmr)}"
    if wished.threshold is None or wished.achieved is None:
        yield name, REFUSED, wished.refused or ""
        return
    note = f"no interval: {wished.interval_refused}"
    if wished.threshold_interval:
        low, high = wished.threshold_interval.low, wished.threshold_interval.high
        note = f"95 % interval {low:.4f} to {high:.4f}"
    if wished.tpr is not None:
        note += f"; {_percent(wished.tpr)} of the genuine pairs reach it"
    yield name, rounded_up(wished.threshold), note
    note = f"{wished.false_matches:,} of {impostors:,} impostor pairs"
    if wished.achieved_interval and wished.independent_pairs:
        low, high = wished.achieved_interval.low, wished.achieved_interval.high
        note += (
            f"; 95 % interval {in_words(low, 3)} to {in_words(high, 3)}, as sure as from "
            f"{wished.independent_pairs:,.0f} independent pairs"
        )
    yield "FMR achieved", in_words(wished.achieved, 3), note


def _search(figures: Identification) -> Iterable[Row]:
    probes = f"{figures.probes:,} probes"
    gallery = f"{figures.templates:,} templates of {figures.people:,} people"
    if figures.probes:
        yield (
            "rank-1",
            _percent(figures.rank1 / figures.probes),
            f"{figures.rank1:,} of {probes}: the nearest of {gallery} is the right person's",
        )
    name = f"FNIR at FPIR {100 * figures.fpir:g} %"
    if figures.fnir is None or figures.fpir_interval is None:
        yield name, REFUSED, figures.refused or ""
        return
    low, high = 100 * figures.fpir_interval.low, 100 * figures.fpir_interval.high
    missed = figures.probes - figures.recognised
    yield (
        name,
        _percent(figures.fnir),
        f"{missed:,} of {probes} are missed at threshold {figures.threshold:.3f}, which "
        f"{figures.accepted_strangers:,} of {figures.strangers:,} strangers reach "
        f"(95 % interval {low:.2f} to {high:.2f} %)",
    )
    yield (
        "recognised",
        _percent(figures.recognised / figures.probes),
        f"{figures.recognised:,} of {probes}: the nearest is the right person's and reaches "
        "that threshold",
    )


def _percent(share: float) -> str:
    return f"{100 * share:.2f} %"
