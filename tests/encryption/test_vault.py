from __future__ import annotations

import pytest

from serve_app.encryption import UnreadableError, Vault
from serve_app.encryption.data_keys import new_key

from .samples import FIRST, SECOND, master, vault


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_key_is_known_for_four_seconds_after_it_was_read() -> None:
    clock = Clock()
    kept = Vault(master(), clock=clock)
    kept.learn("acme", [kept.new("acme", 1)])
    clock.now = 3.9
    assert kept.known("acme") is not None
    clock.now = 4.0
    assert kept.known("acme") is None


def test_nothing_stays_of_a_key_that_nobody_asks_for() -> None:
    clock = Clock()
    kept = Vault(master(), clock=clock)
    kept.learn("acme", [kept.new("acme", 1)])
    clock.now = 5.0
    kept.known("another")
    assert not kept._entries


def test_what_is_read_again_is_not_unwrapped_again_and_what_was_deleted_is_gone() -> None:
    kept = vault()
    rows = [kept.new("acme", 1), kept.new("acme", 2)]
    before = kept.learn("acme", rows)
    assert kept.learn("acme", rows).of(1) is before.of(1)
    assert list(kept.learn("acme", rows[1:]).versions) == [2]


def test_a_key_that_cant_be_unwrapped_leaves_nothing_known() -> None:
    kept = vault(FIRST)
    kept.learn("acme", [kept.new("acme", 1)])
    with pytest.raises(UnreadableError):
        kept.learn("acme", [new_key(master(SECOND), "acme", 1)])
    assert kept.known("acme") is None


def test_fixed_keys_are_all_there_is() -> None:
    kept = vault(fixed=[new_key(master(), "acme", 3)])
    assert kept.fixed("acme").newest.version == 3  # type: ignore[union-attr]
    assert not kept.fixed("another").versions  # type: ignore[union-attr]
    assert vault().fixed("acme") is None
