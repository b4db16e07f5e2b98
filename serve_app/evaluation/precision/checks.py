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
from serve_app.evaluation.figures.crossed_pairs import NAMELESS, crossed_pairs
from serve_app.evaluation.figures.rates import in_words
from serve_app.evaluation.run import Evaluation, listed_scores
from serve_app.evaluation.search import search
from serve_app.evaluation.sets import EvaluationSet

MAX_LOSS = 0.001
"""Of a share: 0.1 percentage points."""

ENOUGH = 1000
"""Examples behind a share. Among fewer, a single one is more than 0.1 points."""

MAX_FALSE = 1.25
"""False matches at one threshold, to those of fp32. Points would tell nothing: a rate of 1e-4
could grow tenfold within 0.1 of them."""

ENOUGH_FALSE = 100
"""False matches behind such a rate. Of fewer, a quarter more may be chance."""

NOTHING = f"no figure has {ENOUGH:,} pairs or probes behind it: too few photographs"


@dataclass(frozen=True, slots=True)
class Figure:
    """A share of ``examples``, the larger the better; or, if ``is_false``, a rate of false matches
    of which there are ``examples``."""

    name: str
    share: float
    examples: int
    is_false: bool = False

    @property
    def tells(self) -> bool:
        return self.examples >= (ENOUGH_FALSE if self.is_false else ENOUGH)

    def loss(self, share: float) -> str | None:
        """What another one is worse by, in words."""
        if self.is_false:
            worse = share > MAX_FALSE * self.share
            return f"{self.name}: {share:.3g}, not {self.share:.3g}" if worse else None
        worse = self.share - share > MAX_LOSS + 1e-9
        return f"{self.name}: {100 * share:.2f} %, not {100 * self.share:.2f} %" if worse else None


def own_figures(result: Evaluation) -> list[Figure]:
    """Of an evaluation: 1:1 and 1:N at the thresholds that it found itself."""
    return [*_own(result)]


def figures_at(
    photographs: EvaluationSet, templates: Embedded, probes: Embedded, thresholds: Sequence[float]
) -> list[Figure]:
    """Each pair's one image, and the gallery, of ``templates``; the other, and who is looked for,
    of ``probes``. All pairs, or the listed ones where nobody is known."""
    pairs = _all_pairs if photographs.person_of else _listed_pairs
    return [
        *pairs(photographs, templates, probes, thresholds),
        *_searched(photographs, templates, probes, thresholds),
    ]


def losses(expected: Sequence[Figure], found: Sequence[Figure]) -> tuple[str, ...]:
    """Where ``found`` is worse than ``expected``, figure by figure, in words; where no share
    tells, that."""
    shares = {figure.name: figure.share for figure in found}
    pairs = [(one, shares[one.name]) for one in expected if one.tells and one.name in shares]
    if all(one.is_false for one, _ in pairs):
        return (NOTHING,)
    return tuple(loss for one, share in pairs if (loss := one.loss(share)))


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


def _all_pairs(
    photographs: EvaluationSet, templates: Embedded, probes: Embedded, thresholds: Sequence[float]
) -> Iterable[Figure]:
    people = {name: i for i, name in enumerate(sorted(set(photographs.person_of.values())))}
    person_of = {name: people[person] for name, person in photographs.person_of.items()}
    person_of |= dict.fromkeys(photographs.nameless, NAMELESS)
    names = [n for n in person_of if n in templates.vectors and n in probes.vectors]
    found = crossed_pairs(
        np.stack([templates.vectors[name] for name in names]),
        np.stack([probes.vectors[name] for name in names]),
        np.array([person_of[name] for name in names], dtype=np.int32),
        thresholds,
    )
    for at in found:
        where = f"at threshold {at.threshold:.3f}"
        if at.genuine:
            # Each pair is there twice, once in either role.
            yield Figure(f"TPR {where}", at.true_matches / at.genuine, at.genuine // 2)
        if at.impostor:
            rate = at.false_matches / at.impostor
            yield Figure(f"FMR {where}", rate, at.false_matches // 2, is_false=True)


def _listed_pairs(
    photographs: EvaluationSet, templates: Embedded, probes: Embedded, thresholds: Sequence[float]
) -> Iterable[Figure]:
    scores, same = listed_scores(photographs, templates, probes)
    for threshold in thresholds if len(scores) else ():
        right = (scores >= threshold) == same  # NaN, no face, is never accepted
        yield Figure(f"1:1 at threshold {threshold:.3f}", float(right.mean()), len(scores))


def _searched(
    photographs: EvaluationSet, templates: Embedded, probes: Embedded, thresholds: Sequence[float]
) -> Iterable[Figure]:
    if not photographs.gallery:
        return
    found = search(photographs, templates, probes)
    for threshold in thresholds:
        passed = found.best >= threshold
        for name, good, of in (
            ("recognised", passed & found.right, ~found.stranger),
            ("strangers refused", ~passed, found.stranger),
        ):
            if of.any():
                share = float(good[of].mean())
                yield Figure(f"{name} at threshold {threshold:.3f}", share, int(of.sum()))
