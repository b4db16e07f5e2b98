"""What ``face-serve models calibrate`` found of a network's precisions, and how the cache keeps it.

A file for each network, with and without mirrored averaging, and processor or GPU. It says two
things: which precisions may be mixed, which holds on that one; and how fast each is, which holds
for the very same runtimes, threads and cores too.
"""

from __future__ import annotations

import hashlib
import json
from datetime import datetime
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError, field_validator

from serve_app.models.atomic import write_atomically
from serve_app.models.precision.precision import FP32, Precision, parse_precision

FORMAT = 1
"""Raise it when what is checked changes: what was recorded before counts for nothing then."""


class PrecisionRow(BaseModel):
    """One precision. Shares are of 1; None where the photographs don't tell. ``ms``: of a face.
    ``cosine_mean``, ``cosine_least``: of a face's embeddings, to those of fp32.

    ``lost``: figures that are worse than those of fp32, in words; ``accurate`` if there are none.
    ``apart``: why it may not be mixed with those in the record's ``mixable``, in words; None where
    it may. ``left_out``: why it was not measured at all.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    precision: str
    ms: float | None = None
    accuracy: float | None = None
    tpr: float | None = None
    recognised: float | None = None
    cosine_mean: float | None = None
    cosine_least: float | None = None
    lost: tuple[str, ...] = ()
    apart: str | None = None
    left_out: str | None = None

    @property
    def accurate(self) -> bool:
        return self.left_out is None and not self.lost

    @property
    def allowed(self) -> bool:
        """Whether ``use_hpip`` may choose it: galleries that are there stay usable."""
        return self.accurate and self.apart is None


class PrecisionRecord(BaseModel):
    """``facts``: the machine (``selection.machine``). ``images``: with a face. ``rows``: fp32
    first. All precisions in ``mixable`` were checked with each other."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    format: int = FORMAT
    network: str
    digest: str
    mirror: bool
    facts: dict[str, str]
    taken: datetime
    images: int
    rows: tuple[PrecisionRow, ...]

    @field_validator("rows")
    @classmethod
    def _known(cls, rows: tuple[PrecisionRow, ...]) -> tuple[PrecisionRow, ...]:
        if not rows or rows[0].precision != str(FP32):
            raise ValueError("fp32 comes first")
        for row in rows:
            if row.left_out is None:
                parse_precision(row.precision)
        return rows

    @property
    def mixable(self) -> tuple[Precision, ...]:
        return tuple(parse_precision(row.precision) for row in self.rows if row.allowed)

    def row(self, precision: Precision) -> PrecisionRow | None:
        return next((row for row in self.rows if row.precision == str(precision)), None)


class PrecisionRecords:
    """The records of a cache. A file that is cut or foreign counts as none."""

    def __init__(self, cache_dir: Path) -> None:
        self._folder = cache_dir / "precisions"

    def find(
        self, network: str, digest: str, *, mirror: bool, facts: dict[str, str]
    ) -> PrecisionRecord | None:
        """What holds on the processor of ``facts``, or on its GPUs if they compute."""
        found = _read(self._file(network, digest, mirror, facts))
        if found is None or (found.digest, found.mirror) != (digest, mirror):
            return None
        return found if _computing(found.facts) == _computing(facts) else None

    def keep(self, record: PrecisionRecord) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        target = self._file(record.network, record.digest, record.mirror, record.facts)
        write_atomically(target, record.model_dump_json(indent=1).encode())

    def _file(self, network: str, digest: str, mirror: bool, facts: dict[str, str]) -> Path:
        parts = [digest, mirror, *_computing(facts)]
        key = hashlib.sha256(json.dumps(parts).encode()).hexdigest()
        return self._folder / f"{network}-{key[:16]}.json"


def _computing(facts: dict[str, str]) -> tuple[str, ...]:
    """What the figures depend on: ``selection.machine`` names GPUs where one of them is used."""
    return tuple(facts[name] for name in ("cpu", "gpus") if name in facts)


def _read(file: Path) -> PrecisionRecord | None:
    try:
        found = PrecisionRecord.model_validate_json(file.read_bytes())
    except (OSError, ValidationError):
        return None
    return found if found.format == FORMAT else None
