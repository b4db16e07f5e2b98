from __future__ import annotations

import numpy as np
import pytest

from serve_app.imaging import PNG_SIGNATURE
from tests.fuzzing import decoding
from tests.fuzzing.seeds import seeds


@pytest.mark.parametrize("name", seeds())
def test_nothing_is_wrong_with_a_seed_and_its_parts(name: str) -> None:
    data = seeds()[name]
    for length in range(0, len(data), 1 + len(data) // 40):
        decoding.check(data[:length])
    decoding.check(data)


def test_any_other_error_and_any_other_picture_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    png = seeds()["png"]
    monkeypatch.setattr(decoding, "decode", lambda data, limits: np.zeros((2, 2, 3), np.uint8))
    with pytest.raises(AssertionError):
        decoding.check(png)

    def broken(data: bytes, limits: object) -> None:
        raise IndexError

    monkeypatch.setattr(decoding, "decode", broken)
    with pytest.raises(IndexError):
        decoding.check(png)


def test_checksums_are_made_right_again() -> None:
    png = seeds()["png"]
    assert decoding.repaired(png) == png
    changed = bytearray(png)
    changed[16:20] = (7).to_bytes(4, "big")  # its width; the checksum is the old one
    whole = decoding.repaired(bytes(changed))
    assert whole != bytes(changed)
    assert whole[:29] == bytes(changed[:29])
    assert decoding.repaired(whole) == whole
    for length in range(len(PNG_SIGNATURE), len(png)):
        assert len(decoding.repaired(png[:length])) == length
