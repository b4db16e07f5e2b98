"""What a measurement says: a section of the report, and the bars that it was held against."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

Cell = str | float | int | None


@dataclass(frozen=True, slots=True)
class Finding:
    """One number beside its bar. ``bar``: None where it is only told. ``at_least``: which side of
    the bar is good."""

    must_hold: str
    what: str
    measured: float
    bar: float | None
    unit: str = ""
    at_least: bool = False

    @property
    def holds(self) -> bool | None:
        """What was not measured does not hold."""
        if self.bar is None:
            return None
        if math.isnan(self.measured):
            return False
        return self.measured >= self.bar if self.at_least else self.measured <= self.bar


@dataclass(frozen=True, slots=True)
class Section:
    """``figures``: everything that was measured, for the JSON; ``rows``: what the report shows."""

    title: str
    columns: list[str]
    rows: list[list[Cell]]
    findings: list[Finding] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    figures: dict[str, Any] = field(default_factory=dict)
