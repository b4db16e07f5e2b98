"""Evaluates a pipeline on a set of photographs: embeds its images and computes every figure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from serve_app.evaluation.embedding import Embedded, embed_images
from serve_app.evaluation.figures.all_pairs import Progress, all_pairs, silent
from serve_app.evaluation.figures.identification import (
    Identification,
    SearchPoint,
    identification,
    search_curve,
)
from serve_app.evaluation.figures.listed_pairs import listed_pairs
from serve_app.evaluation.figures.pair_scores import PairScores
from serve_app.evaluation.figures.rates import (
    CurvePoint,
    OperatingPoint,
    WishedRate,
    curve,
    exact_up_to,
    operating_point,
    wished_rate,
)
from serve_app.evaluation.figures.verification import Verification, verification
from serve_app.evaluation.search import search
from serve_app.evaluation.sets import EvaluationSet
from serve_app.pipeline import FacePipeline

FPRS = (1e-3, 1e-4)
"""Rates at which the true positive rate is always given."""


@dataclass(frozen=True, slots=True)
class PairRates:
    """1:1 over ``scope``: all pairs of the images whose people are known, or the listed ones of a
    set that doesn't know its people. ``people``: of known name, with a face; None if unknown."""

    scope: Literal["all pairs", "listed pairs"]
    people: int | None
    nameless: int
    genuine: int
    impostor: int
    at_fpr: list[OperatingPoint]
    wished: WishedRate
    curve: list[CurvePoint]


@dataclass(frozen=True, slots=True)
class Evaluation:
    """``failures``: why an image could not be enrolled, by its name; ``without_face`` of them."""

    model_id: str
    set_name: str
    images: int
    without_face: int
    failures: dict[str, str]
    pairs_from: str
    search_from: str
    verification: Verification | None
    pair_rates: PairRates
    identification: Identification | None
    search_curve: list[SearchPoint]


def evaluate(
    photographs: EvaluationSet,
    open_pipeline: Callable[[], FacePipeline],
    *,
    workers: int,
    fpir: float,
    fmr: float,
    progress: Progress = silent,
) -> Evaluation:
    """Embed each image once, as enrolment would, and score.

    ``fpir``: share of strangers that 1:N may accept; ``fmr``: the false match rate for which a
    threshold is wished. Raises InvalidRequestError for files that can't be read, and if no image,
    or none of the gallery, can be enrolled.
    """
    names = photographs.images()
    embedded = embed_images(
        photographs.root, names, open_pipeline, workers=workers, progress=progress
    )
    return score(photographs, embedded, fpir=fpir, fmr=fmr, progress=progress)


def score(
    photographs: EvaluationSet,
    embedded: Embedded,
    *,
    fpir: float,
    fmr: float,
    progress: Progress = silent,
) -> Evaluation:
    """Every figure of images that are embedded. Raises InvalidRequestError if none of the gallery
    is."""
    scores, same = listed_scores(photographs, embedded, embedded)
    found = search(photographs, embedded) if photographs.gallery else None
    return Evaluation(
        model_id=embedded.model_id,
        set_name=photographs.name,
        images=len(photographs.images()),
        without_face=len(embedded.failures),
        failures=dict(embedded.failures),
        pairs_from=photographs.origin,
        search_from=photographs.search,
        verification=verification(scores, same) if len(scores) else None,
        pair_rates=_pair_rates(photographs, embedded, scores, same, fmr, progress),
        identification=identification(found, fpir) if found else None,
        search_curve=search_curve(found) if found else [],
    )


def listed_scores(
    photographs: EvaluationSet, firsts: Embedded, seconds: Embedded
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Scores of the listed pairs, NaN where an image has no face, and which are of one person. The
    first image of a pair is looked up in ``firsts``, the other in ``seconds``."""
    scores = []
    for pair in photographs.pairs:
        first, second = firsts.vectors.get(pair.first), seconds.vectors.get(pair.second)
        scores.append(np.nan if first is None or second is None else float(first @ second))
    return np.array(scores), np.array([pair.same for pair in photographs.pairs], dtype=bool)


def _pair_rates(
    photographs: EvaluationSet,
    embedded: Embedded,
    scores: NDArray[np.float64],
    same: NDArray[np.bool_],
    fmr: float,
    progress: Progress,
) -> PairRates:
    known = [name for name in photographs.person_of if name in embedded.vectors]
    nameless = [name for name in photographs.nameless if name in embedded.vectors]
    people = sorted({photographs.person_of[name] for name in known})
    if photographs.person_of:
        pairs = _all_pairs(photographs, embedded, known, nameless, people, fmr, progress)
    else:
        pairs = _listed_pairs(photographs, scores, same)
    return PairRates(
        scope="all pairs" if photographs.person_of else "listed pairs",
        people=len(people) if photographs.person_of else None,
        nameless=len(nameless),
        genuine=pairs.genuine_pairs,
        impostor=pairs.impostors,
        at_fpr=[operating_point(pairs, fpr) for fpr in FPRS],
        wished=wished_rate(pairs, fmr),
        curve=curve(pairs),
    )


def _all_pairs(
    photographs: EvaluationSet,
    embedded: Embedded,
    known: list[str],
    nameless: list[str],
    people: list[str],
    fmr: float,
    progress: Progress,
) -> PairScores:
    number = {person: index for index, person in enumerate(people)}
    images = Counter(photographs.person_of.values())
    return all_pairs(
        _stack(embedded, known),
        np.array([number[photographs.person_of[name]] for name in known], dtype=np.int32),
        _stack(embedded, nameless),
        genuine_pairs=sum(count * (count - 1) // 2 for count in images.values()),
        rate=exact_up_to(fmr, FPRS),
        progress=progress,
    )


def _listed_pairs(
    photographs: EvaluationSet, scores: NDArray[np.float64], same: NDArray[np.bool_]
) -> PairScores:
    number = {name: index for index, name in enumerate(photographs.images())}
    pairs = [(number[pair.first], number[pair.second]) for pair in photographs.pairs]
    return listed_pairs(scores, same, np.array(pairs, dtype=np.int64))


def _stack(embedded: Embedded, names: list[str]) -> NDArray[np.float32]:
    dimension = len(next(iter(embedded.vectors.values())))
    found = np.empty((len(names), dimension), dtype=np.float32)
    for row, name in enumerate(names):
        found[row] = embedded.vectors[name]
    return found
