from __future__ import annotations

import pytest

from serve_app.api.forms.content_type import kind_of


@pytest.mark.parametrize(
    ("content_type", "kind"),
    [
        ("", ""),
        (";", ""),
        ("application/json", "application/json"),
        ("Application/JSON; charset=utf-8", "application/json"),
        (" image/png ;a=b;c", "image/png"),
    ],
)
def test_parameters_and_case_are_left_out(content_type: str, kind: str) -> None:
    assert kind_of(content_type) == kind
