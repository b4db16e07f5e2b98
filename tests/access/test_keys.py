from __future__ import annotations

from dataclasses import replace

import pytest

from serve_app.access.keys import ALL_SCOPES, ApiKey, new_token, parse_token

KEY = ApiKey("1b6a380c2cc8", "", "terminal", "hash", ALL_SCOPES)


def test_a_new_token_has_an_id_and_a_secret_of_256_bits() -> None:
    tokens = {new_token() for _ in range(100)}
    parsed = [parse_token(token) for token in tokens]
    assert len({found[0] for found in parsed if found}) == 100
    assert all(found is not None and len(found[1]) == 43 for found in parsed)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "fs",
        "fs__",
        "fs_1b6a380c2cc8_short",
        "fs_1B6A380C2CC8_" + "a" * 43,
        "gh_1b6a380c2cc8_" + "a" * 43,
        "fs_1b6a380c2cc8_" + "a" * 44,
        "fs_1b6a380c2cc8_" + "a" * 43 + "\n",
        "fs_1b6a380c2cc8_" + "ä" * 43,
    ],
)
def test_what_cannot_be_a_token_is_none(text: str) -> None:
    assert parse_token(text) is None


def test_a_key_opens_until_it_expires_or_is_revoked() -> None:
    assert KEY.is_live(now=1e12)
    assert replace(KEY, expires_at=100.0).is_live(now=99.9)
    assert not replace(KEY, expires_at=100.0).is_live(now=100.0)
    assert not replace(KEY, revoked_at=100.0).is_live(now=99.0)
