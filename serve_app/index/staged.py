"""What a job hands to the store: settled rows of its input. Knows neither SQL nor Ray."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from serve_app.types import Metric, Vectors


class RowOutcome(StrEnum):
    """SKIPPED: the same image with the same label came before, and the job leaves those out."""

    ACCEPTED = "accepted"
    REJECTED = "rejected"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class SettledRow:
    """One row of the input and what became of it.

    ``id``: the template's own, where the input gives one; ``digest``: of the image's bytes.
    """

    position: int
    source: str
    label: str
    outcome: RowOutcome
    reason: str = ""
    digest: bytes | None = None
    id: int | None = None
    same_as: int | None = None


@dataclass(frozen=True, slots=True)
class SettledRows:
    """Rows of the input from one position on, without a gap. ``vectors``: (A, D) float32 of the A
    accepted ones, in their order. ``upto``: the position after the last."""

    start: int
    upto: int
    rows: list[SettledRow]
    vectors: Vectors


@dataclass(frozen=True, slots=True)
class StagedGallery:
    """What a job's templates are staged as."""

    index_type: str
    metric: Metric
    dimension: int
    model_id: str
    compatible_with: frozenset[str] = field(default_factory=frozenset)
