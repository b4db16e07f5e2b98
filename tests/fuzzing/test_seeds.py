from __future__ import annotations

import pytest

from serve_app.imaging import FORMATS, ImageLimits, decode
from tests.fuzzing.seeds import FORMS, MARK, faces, marked, seeds


@pytest.mark.parametrize("name", seeds())
def test_a_seed_is_small_and_decoded(name: str) -> None:
    data = seeds()[name]
    assert len(data) < 5000
    assert decode(data, ImageLimits()).ndim == 3


def test_every_format_has_one() -> None:
    assert {form for form, _, _ in FORMS.values()} == set(FORMATS)


@pytest.mark.parametrize("data", [*faces(), seeds()["png"], seeds()["jpeg"]])
def test_a_marked_picture_shows_the_same(data: bytes) -> None:
    limits = ImageLimits()
    assert MARK.encode() in marked(data)
    assert (decode(marked(data), limits) == decode(data, limits)).all()
