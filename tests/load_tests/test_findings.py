from __future__ import annotations

import math

import pytest

from load_tests.findings import Finding


@pytest.mark.parametrize(
    ("measured", "bar", "at_least", "holds"),
    [
        (0.9, 0.85, True, True),
        (0.8, 0.85, True, False),
        (9.0, 10.0, False, True),
        (11.0, 10.0, False, False),
        (0, 0, False, True),
        (math.nan, 10.0, False, False),
        (math.nan, 10.0, True, False),
        (5.0, None, False, None),
    ],
)
def test_a_bar_holds_on_its_good_side_and_never_unmeasured(
    measured: float, bar: float | None, at_least: bool, holds: bool | None
) -> None:
    assert Finding("1", "w", measured, bar, at_least=at_least).holds is holds
