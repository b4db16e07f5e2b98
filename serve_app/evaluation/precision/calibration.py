"""Measures an extractor's precisions on a set of photographs, and decides which of them may take
the place of fp32."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

import numpy as np

from serve_app.errors import ConfigError, InvalidRequestError, ModelError
from serve_app.evaluation.embedding import Embedded
from serve_app.evaluation.figures.all_pairs import Progress
from serve_app.evaluation.precision.checks import (
    Figure,
    cosines,
    figures_at,
    losses,
    own_figures,
)
from serve_app.evaluation.precision.embedding import Timed, crops_of, embed_at_each
from serve_app.evaluation.precision.extractors import Extractors
from serve_app.evaluation.run import Evaluation, score
from serve_app.evaluation.sets import EvaluationSet
from serve_app.models.precision.precision import FP32, Kind
from serve_app.models.precision.record import PrecisionRecord, PrecisionRow
from serve_app.models.runtime import Tensors
from serve_app.pipeline import FacePipeline
from serve_app.types import Crops

FACES = 300
"""An int8 network is made of so many: NNCF's own advice."""

FMR, FPIR = 1e-4, 0.01
"""As ``face-serve evaluate`` has them by default."""


def calibrate(
    photographs: EvaluationSet,
    extractors: Extractors,
    wanted: Sequence[Kind],
    progress: Progress,
) -> PrecisionRecord:
    """fp32 beside each of ``wanted``, in the order of preference where two of them can't be mixed
    with each other. What can't be had here is left out, with the reason in its row.

    Raises InvalidRequestError for files that can't be read, and if no image, or none of the
    gallery, shows a face; ConfigError, ModelError.
    """
    pipeline = extractors.plain()

    def inputs() -> Tensors:
        return pipeline.extractor.inputs(_faces(photographs, pipeline))

    precisions, stages, left_out = [str(FP32)], [pipeline.extractor], []
    for kind in wanted:
        try:
            precision, stage = extractors.lower(kind, inputs)
        except (ConfigError, ModelError) as error:
            left_out.append(PrecisionRow(precision=kind, left_out=str(error)))
            continue
        precisions.append(str(precision))
        stages.append(stage)
    names = photographs.images()
    timed = embed_at_each(photographs.root, names, pipeline, stages, progress)
    compared = Comparison(photographs, timed[0].embedded, pipeline.config.rec_threshold)
    rows = [compared.row(*found) for found in zip(precisions, timed, strict=True)]
    return PrecisionRecord(
        network=extractors.network.name,
        digest=extractors.network.digest,
        mirror=pipeline.config.extractor.mirror,
        facts=extractors.facts,
        taken=datetime.now(UTC),
        images=len(timed[0].embedded.vectors),
        rows=(*rows, *left_out),
    )


class Comparison:
    """Against fp32, and against what was found good before: what may be mixed is a group of which
    all were checked with each other."""

    def __init__(self, photographs: EvaluationSet, fp32: Embedded, threshold: float) -> None:
        """``threshold``: the pipeline's cosine. It counts, and those which fp32 has at the rates
        that are always given; not its best one for the listed pairs, where it has no match."""
        self._photographs = photographs
        self._fp32 = fp32
        self._evaluation = score(photographs, fp32, fpir=FPIR, fmr=FMR)
        at_rates = [point.threshold for point in self._evaluation.pair_rates.at_fpr]
        self._thresholds = [threshold, *(found for found in at_rates if found is not None)]
        self._expected = self._at(fp32, fp32)
        self._group: dict[str, Embedded] = {}

    def row(self, precision: str, timed: Timed) -> PrecisionRow:
        """Of the next precision; fp32 is the first."""
        found = timed.embedded
        first = not self._group
        result = self._evaluation if first else self._score(found)
        lost = () if first else self._lost(result, found)
        apart = self._apart(found)
        if not lost and apart is None:
            self._group[precision] = found
        mean, least = cosines(self._fp32, found)
        shares = {figure.name: figure.share for figure in own_figures(result)}
        return PrecisionRow(
            precision=precision,
            ms=timed.ms,
            accuracy=shares.get("1:1 accuracy"),
            tpr=shares.get("TPR at FPR 1e-3"),
            recognised=shares.get("recognised"),
            cosine_mean=mean,
            cosine_least=least,
            lost=lost,
            apart=apart,
        )

    def _lost(self, result: Evaluation, found: Embedded) -> tuple[str, ...]:
        own = losses(own_figures(self._evaluation), own_figures(result))
        return tuple(dict.fromkeys([*own, *losses(self._expected, self._at(found, found))]))

    def _apart(self, found: Embedded) -> str | None:
        """Why embeddings can't meet those of the group; None: they can, in either role."""
        for other, embedded in self._group.items():
            for templates, probes, roles in (
                (embedded, found, f"its probes in a gallery of {other}"),
                (found, embedded, f"probes of {other} in its gallery"),
            ):
                if lost := losses(self._expected, self._at(templates, probes)):
                    return f"{roles}: {'; '.join(lost)}"
        return None

    def _score(self, found: Embedded) -> Evaluation:
        return score(self._photographs, found, fpir=FPIR, fmr=FMR)

    def _at(self, templates: Embedded, probes: Embedded) -> list[Figure]:
        return figures_at(self._photographs, templates, probes, self._thresholds)


def _faces(photographs: EvaluationSet, pipeline: FacePipeline) -> Crops:
    """(N, 112, 112, 3) uint8 RGB: up to FACES, from all over the gallery, or from all images where
    nobody is enrolled."""
    names = list(dict.fromkeys(entry.image for entry in photographs.gallery))
    names = names or photographs.images()
    step = max(1, len(names) / FACES)
    chosen = [names[int(number * step)] for number in range(min(FACES, len(names)))]
    crops, _ = crops_of(photographs.root, chosen, pipeline)
    if not crops:
        raise InvalidRequestError(
            f"none of {len(chosen):,} images shows a face to make an int8 network of"
        )
    return np.stack(list(crops.values()))
