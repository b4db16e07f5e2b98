from __future__ import annotations

from typing import Any

import pytest

from serve_app.api.client_address import HEADER, client_address

PROOF = "5f" * 32
PEER = "10.0.0.7"


def scope(*told: str, client: Any = (PEER, 4711)) -> dict[str, Any]:
    return {
        "headers": [(b"host", b"a"), *((HEADER.encode(), each.encode()) for each in told)],
        "client": client,
    }


@pytest.mark.parametrize("address", ["192.0.2.1", "2001:db8::1"])
def test_our_proxys_word_counts_wherever_it_stands(address: str) -> None:
    ours, theirs = f"{address} {PROOF}", f"6.6.6.6 {PROOF[1:]}"
    for told in ([ours], [theirs, ours], [ours, theirs]):
        assert client_address(scope(*told), PROOF) == address


@pytest.mark.parametrize(
    "told",
    [[], [""], ["6.6.6.6"], [f"6.6.6.6 {PROOF[:-1]}"], [f"6.6.6.6  {PROOF}"], ["6.6.6.6 \xe9"]],
)
def test_of_all_else_the_peer_counts(told: list[str]) -> None:
    assert client_address(scope(*told), PROOF) == PEER


def test_without_a_proxy_of_ours_nothing_but_the_peer_counts() -> None:
    assert client_address(scope(f"6.6.6.6 {PROOF}"), None) == PEER
    assert client_address(scope("6.6.6.6 None"), None) == PEER


def test_there_may_be_no_peer() -> None:
    assert client_address(scope(client=None), PROOF) == ""
