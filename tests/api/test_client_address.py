from __future__ import annotations

from serve_app.api.client_address import client_address


def test_the_address_is_that_of_the_peer() -> None:
    assert client_address({"client": ("192.0.2.7", 4711), "headers": []}) == "192.0.2.7"


def test_none_is_known_without_a_peer() -> None:
    assert client_address({"headers": []}) == ""
    assert client_address({"client": None, "headers": []}) == ""
