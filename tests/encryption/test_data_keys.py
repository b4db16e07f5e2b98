from __future__ import annotations

from dataclasses import replace

import pytest

from serve_app.encryption import TenantKeys, UnreadableError
from serve_app.encryption.data_keys import new_key, rewrapped, unreadable, unwrapped

from .samples import FIRST, SECOND, data_key, master


def test_a_wrapped_key_is_of_its_tenant_and_version_only() -> None:
    keys = master()
    made = new_key(keys, "acme", 1)
    unwrapped(keys, made)
    for other in (replace(made, tenant="else"), replace(made, version=2)):
        assert unreadable(keys, [made, other]) == [other]
        with pytest.raises(UnreadableError):
            unwrapped(keys, other)


def test_rewrapped_it_seals_the_same_and_needs_the_new_master_key() -> None:
    made = new_key(master(FIRST), "acme", 1)
    moved = rewrapped(master(SECOND, FIRST), made)

    assert moved.wrapped_by == master(SECOND).first.id != made.wrapped_by
    before, after = unwrapped(master(FIRST), made), unwrapped(master(SECOND), moved)
    assert before.digest(b"owner", b"label") == after.digest(b"owner", b"label")
    with pytest.raises(UnreadableError):
        unwrapped(master(FIRST), moved)


def test_digests_differ_by_key_owner_and_content() -> None:
    one, other = data_key(), data_key()
    digests = {
        one.digest(b"a", b"label"),
        one.digest(b"b", b"label"),
        one.digest(b"a", b"other"),
        other.digest(b"a", b"label"),
    }
    assert len(digests) == 4
    assert {len(digest) for digest in digests} == {16}
    assert one.digest(b"a", b"label") == one.digest(b"a", b"label")


def test_the_newest_seals_and_an_unknown_one_opens_nothing() -> None:
    keys = TenantKeys({1: data_key(version=1), 3: data_key(version=3)})
    assert keys.newest.version == 3
    assert keys.of(1).version == 1
    with pytest.raises(UnreadableError):
        keys.of(2)
    with pytest.raises(UnreadableError):
        TenantKeys({}).newest  # noqa: B018
