"""Times as people write them: 30s, 10m, 12h, 90d."""

from __future__ import annotations

import re

from serve_app.errors import ConfigError

UNITS_S = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
_TIME = re.compile(r"(\d{1,9})([smhd])")


def seconds_of(option: str, text: str) -> float:
    """Raises ConfigError that names ``option``."""
    found = _TIME.fullmatch(text.strip())
    if found is None:
        raise ConfigError(f"{option}: write a whole number and s, m, h or d, like 12h or 90d")
    return float(int(found[1]) * UNITS_S[found[2]])
