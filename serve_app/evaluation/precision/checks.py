"""Whether one precision does as well as another: figures with as many examples behind them as
0.1 percentage points need.

Two kinds: those of ``face-serve evaluate``, each precision at thresholds of its own; and those at
the thresholds that are in use, as nobody chooses new ones for another precision. The latter also
where templates are of one precision and probes of another.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from serve_app.evaluation.embedding import Embedded
from serve_app.evaluation.figures.rates import in_words
from serve_app.evaluation.run import Evaluation, listed_scores
from serve_app.evaluation.search import search
from serve_app.evaluation.sets import EvaluationSet

MAX_LOSS = 0.001
"""Of a share: 0.1 percentage points."""

ENOUGH = 1000
"""Examples behind a figure. Among fewer, a single one is more than 0.1 points."""

NOTHING = f"no figure has {ENOUGH:,} pairs or probes behind it: too few photographs"


@dataclass(frozen=True, slots=True)
class Figure:
    """A share of ``examples``, the larger the better."""

    name: str
    share: float
    examples: int

    @property
    def tells(self) -> bool:
        return self.examples >= ENOUGH


def own_figures(result: Evaluation) -> list[Figure]:
    """Of an evaluation: 1:1 and 1:N at the thresholds that it found itself."""
    return [*_own(result)]


def figures_at(
    photographs: EvaluationSet, templates: Embedded, probes: Embedded, thresholds: Sequence[float]
) -> list[Figure]:
    """The first image of each listed pair, and the gallery, of ``templates``; the others of
    ``probes``. The same images must be in both."""
    return [*_at(photographs, templates, probes, thresholds)]


def losses(expected: Sequence[Figure], found: Sequence[Figure]) -> tuple[str, ...]:
    """Where ``found`` is worse than ``expected``, figure by figure, in words; where no figure
    tells, that."""
    shares = {figure.name: figure.share for figure in found}
    pairs = [(one, shares[one.name]) for one in expected if one.tells and one.name in shares]
    if not pairs:
        return (NOTHING,)
    return tuple(
        f"{one.name}: {100 * share:.2f} %, not {100 * one.share:.2f} %"
        for one, share in pairs
        if one.share - share > MAX_LOSS + 1e-9
    )


def cosines(one: Embedded, other: Embedded) -> tuple[float, float]:
    """Mean and least cosine of the same images' embeddings."""
    found = [
        float(vector @ other.vectors[name])
        for name, vector in one.vectors.items()
        if name in other.vectors
    ]
    return float(np.mean(found)), float(np.min(found))


def _own(result: Evaluation) -> Iterable[Figure]:
    if result.verification:
        yield Figure("1:1 accuracy", result.verification.accuracy, result.verification.pairs)
    for point in result.pair_rates.at_fpr:
        if point.tpr is not None:
            yield Figure(f"TPR at FPR {in_words(point.fpr)}", point.tpr, result.pair_rates.genuine)
    found = result.identification
    if found and found.fnir is not None:
        # Its threshold is that of a stranger: few of them make it jump.
        examples = min(found.probes, found.strangers)
        yield Figure("recognised", found.recognised / found.probes, examples)


def _at(
    photographs: EvaluationSet, templates: Embedded, probes: Embedded, thresholds: Sequence[float]
) -> Iterable[Figure]:
    scores, same = listed_scores(photographs, templates, probes)
    found = search(photographs, templates, probes) if photographs.gallery else None
    for threshold in thresholds:
        if len(scores):
            right = (scores >= threshold) == same  # NaN, no face, is never accepted
            yield Figure(f"1:1 at threshold {threshold:.3f}", float(right.mean()), len(scores))
        if found:
            passed = found.best >= threshold
            for name, good, of in (
                ("recognised", passed & found.right, ~found.stranger),
                ("strangers refused", ~passed, found.stranger),
            ):
                if of.any():
                    share = float(good[of].mean())
                    yield Figure(f"{name} at threshold {threshold:.3f}", share, int(of.sum()))
