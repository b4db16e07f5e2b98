from __future__ import annotations

import pytest

from serve_app.api.iso_times import iso_time


@pytest.mark.parametrize(
    ("seconds", "written"),
    [
        (0.0, "1970-01-01T00:00:00.000Z"),
        (1_769_860_800.0625, "2026-01-31T12:00:00.062Z"),
        (1_790_000_000.9996, "2026-09-21T14:13:20.999Z"),
    ],
)
def test_utc_to_the_millisecond(seconds: float, written: str) -> None:
    assert iso_time(seconds) == written
