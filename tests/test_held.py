from __future__ import annotations

import pytest

from serve_app.held import HeldPlace


@pytest.mark.parametrize("place", [HeldPlace(3, 42), HeldPlace(job="a.b-1", position=7)])
def test_a_place_comes_back(place: HeldPlace) -> None:
    assert HeldPlace.parse(str(place)) == place


@pytest.mark.parametrize("text", ["", "t", "t.1", "t.a.b", "r.x.job"])
def test_no_place(text: str) -> None:
    with pytest.raises(ValueError):
        HeldPlace.parse(text)
