from __future__ import annotations

import pytest

from serve_app.encryption import UnreadableError
from serve_app.encryption.pairs import Kind, open_pairs, seal_pairs

from .samples import data_key

KEY = data_key()
NUMBERS = [0, 7, 1 << 40]
FIRSTS = [b"", b"embedding", bytes(range(256))]
SECONDS = [b"label", b"", "名前".encode()]


def test_what_was_sealed_is_opened() -> None:
    sealed = seal_pairs(KEY, Kind.TEMPLATE, "generation", NUMBERS, FIRSTS, SECONDS)
    assert not any(second and second in each for each in sealed for second in SECONDS)
    opened = open_pairs(KEY, Kind.TEMPLATE, "generation", NUMBERS, sealed)
    assert opened == list(zip(FIRSTS, SECONDS, strict=True))


def test_no_nonce_comes_twice() -> None:
    many = 5000
    same = seal_pairs(KEY, Kind.TEMPLATE, "g", [1] * many, [b"x"] * many, [b"y"] * many)
    assert len({each[:12] for each in same}) == many


def test_it_opens_in_its_own_place_only() -> None:
    (sealed,) = seal_pairs(KEY, Kind.TEMPLATE, "generation", [7], [b"e"], [b"label"])
    for key, kind, owner, number in (
        (data_key(), Kind.TEMPLATE, "generation", 7),
        (KEY, Kind.SOURCE, "generation", 7),
        (KEY, Kind.TEMPLATE, "another", 7),
        (KEY, Kind.TEMPLATE, "generation", 8),
    ):
        with pytest.raises(UnreadableError):
            open_pairs(key, kind, owner, [number], [sealed])


def test_every_changed_byte_is_found() -> None:
    (sealed,) = seal_pairs(KEY, Kind.TEMPLATE, "g", [7], [b"embedding"], [b"label"])
    for place in range(len(sealed)):
        changed = bytearray(sealed)
        changed[place] ^= 0x80
        with pytest.raises(UnreadableError):
            open_pairs(KEY, Kind.TEMPLATE, "g", [7], [bytes(changed)])
    for length in range(len(sealed)):
        with pytest.raises(UnreadableError):
            open_pairs(KEY, Kind.TEMPLATE, "g", [7], [sealed[:length]])
