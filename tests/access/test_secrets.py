from __future__ import annotations

from serve_app.access import secrets
from serve_app.access.keys import new_token, parse_token


def a_secret() -> str:
    parsed = parse_token(new_token())
    assert parsed is not None
    return parsed[1]


def test_a_hash_knows_its_secret_and_no_other() -> None:
    secret, other = a_secret(), a_secret()
    kept = secrets.hash_secret(secret)
    assert secrets.may_be(secret, kept)
    assert secrets.verify(secret, kept)
    assert not secrets.may_be(other, kept)
    assert not secrets.verify(other, kept)


def test_what_is_kept_is_argon2id_with_a_salt_of_its_own() -> None:
    secret = a_secret()
    one, two = secrets.hash_secret(secret), secrets.hash_secret(secret)
    assert one != two
    for kept in (one, two):
        assert kept.split(":", 1)[1].startswith("$argon2id$v=19$m=19456,t=2,p=1$")
        assert secret not in kept


def test_the_tag_alone_opens_nothing() -> None:
    secret = a_secret()
    tag = secrets.hash_secret(secret).partition(":")[0]
    assert len(tag) == 8  # 32 bits of 256
    assert not secrets.verify(secret, f"{tag}:{secrets.hash_secret(a_secret()).partition(':')[2]}")


def test_a_damaged_hash_opens_nothing() -> None:
    assert not secrets.verify(a_secret(), "0011aabb:$argon2id$broken")
    assert not secrets.verify(a_secret(), "")
