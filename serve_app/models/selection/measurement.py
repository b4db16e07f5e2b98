"""What a measurement of a network's runtimes found, and how the cache remembers it."""

from __future__ import annotations

import hashlib
import json
from datetime import datetime
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from serve_app.models.atomic import write_atomically

FORMAT = 1
"""Raise it when the way of measuring changes: what was measured before is measured anew then."""


class Row(BaseModel):
    """One runtime. ``turns_ms``: of a run, the mean of each turn; ``ms``: the best of them.
    ``difference``: to the plain one's answer, in words. ``left_out``: why it could not be chosen;
    None where it could."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    runtime: str
    ms: float | None = None
    turns_ms: tuple[float, ...] = ()
    difference: str | None = None
    left_out: str | None = None


class Measurement(BaseModel):
    """``facts``: what it holds for (``selection.machine``). ``images``: in a run. ``taken``: when,
    in UTC."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    format: int = FORMAT
    network: str
    digest: str
    facts: dict[str, str]
    taken: datetime
    images: int
    plain: str
    chosen: str
    rows: tuple[Row, ...]

    def row(self, runtime: str) -> Row:
        return next(row for row in self.rows if row.runtime == runtime)


class Remembered:
    """Measurements in a folder of the cache, a file each."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def find(
        self, network: str, digest: str, plain: str, facts: dict[str, str]
    ) -> Measurement | None:
        """None where there is none of exactly this, or its file can't be understood."""
        try:
            found = Measurement.model_validate_json(self._file(network, digest, facts).read_bytes())
        except (OSError, ValidationError):
            return None
        same = (found.format, found.digest, found.plain, found.facts) == (
            FORMAT, digest, plain, facts
        )  # fmt: skip
        whole = {found.plain, found.chosen} <= {row.runtime for row in found.rows}
        return found if same and whole else None

    def keep(self, measurement: Measurement) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        target = self._file(measurement.network, measurement.digest, measurement.facts)
        write_atomically(target, measurement.model_dump_json(indent=1).encode())

    def _file(self, network: str, digest: str, facts: dict[str, str]) -> Path:
        key = json.dumps([digest, sorted(facts.items())])
        return self._folder / f"{network}-{hashlib.sha256(key.encode()).hexdigest()[:16]}.json"
