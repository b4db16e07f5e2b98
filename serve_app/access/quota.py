"""What a key or a tenant may use: at most so much, each limit alone."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, fields
from math import isfinite

from serve_app.errors import InvalidRequestError


@dataclass(frozen=True, slots=True)
class Quota:
    """``requests_per_s``: on average, with up to ``burst`` at once (left out: two seconds' worth,
    at least 1). ``body_bytes``: of one request. ``faces``, ``galleries``: that its tenant may have
    after what is asked. None: no limit of its own."""

    requests_per_s: float | None = None
    burst: float | None = None
    body_bytes: int | None = None
    faces: int | None = None
    galleries: int | None = None

    @property
    def bucket(self) -> float:
        """How many requests may come at once."""
        if self.burst is not None:
            return self.burst
        return max(1.0, 2 * (self.requests_per_s or 0.0))

    def text(self) -> str:
        """JSON of what is limited."""
        return json.dumps(
            {name: value for name, value in asdict(self).items() if value is not None}
        )

    @classmethod
    def parse(cls, text: str) -> Quota:
        """Of ``text``. What a newer version wrote besides is left out."""
        known = {field.name for field in fields(cls)}
        return cls(**{name: value for name, value in json.loads(text).items() if name in known})

    def check(self) -> None:
        """Raises InvalidRequestError for a limit that can't be kept."""
        for name, value in asdict(self).items():
            least = 1 if name in ("body_bytes", "burst") else 0
            if value is not None and not (isfinite(value) and value >= least):
                raise InvalidRequestError(f"{name.replace('_', '-')}: a number from {least} on")
        if self.requests_per_s == 0:
            raise InvalidRequestError("requests-per-s: above 0; to lock a key out, revoke it")


NO_LIMITS = Quota()


def strictest(one: int | None, other: int | None) -> int | None:
    """The lower of two limits, either of which may be none."""
    if one is None or other is None:
        return other if one is None else one
    return min(one, other)
