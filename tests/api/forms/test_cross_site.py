from __future__ import annotations

import pytest
from starlette.datastructures import Headers

from serve_app.api.forms.cross_site import is_cross_site, refuse_cross_site
from serve_app.errors import InvalidRequestError


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"sec-fetch-site": "same-origin"},
        {"sec-fetch-site": "none"},
        {"sec-fetch-site": "same-origin", "origin": "https://seen.example", "host": "inner:80"},
        {"origin": "http://faces.example:8080", "host": "Faces.example:8080"},
    ],
)
def test_clients_that_are_no_page_and_our_own_page(headers: dict[str, str]) -> None:
    assert not is_cross_site(Headers(headers))
    refuse_cross_site(Headers(headers))


@pytest.mark.parametrize(
    "headers",
    [
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
        {"sec-fetch-site": ""},
        {"sec-fetch-site": "cross-site", "origin": "http://faces.example", "host": "faces.example"},
        {"origin": "http://evil.example", "host": "faces.example"},
        {"origin": "http://faces.example:81", "host": "faces.example"},
        {"origin": "null", "host": "null"},
        {"origin": "null", "host": ""},
        {"origin": "", "host": ""},
        {"origin": "http://[", "host": "faces.example"},
    ],
)
def test_pages_of_other_origins(headers: dict[str, str]) -> None:
    assert is_cross_site(Headers(headers))
    with pytest.raises(InvalidRequestError, match=r"header\.Origin"):
        refuse_cross_site(Headers(headers))
