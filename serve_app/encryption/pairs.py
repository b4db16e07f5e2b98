"""Two byte strings of a row, sealed in one: nonce (12 bytes), then AES-256-GCM of the first one's
length, the first, the second; its tag last.

What a row is of (kind, owner, number) is authenticated with it: moved to another row or table it
opens no more.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Sequence
from enum import Enum

from cryptography.exceptions import InvalidTag

from serve_app.encryption.data_keys import DataKey, UnreadableError
from serve_app.encryption.master import NONCE_BYTES

_LENGTH = struct.Struct("<I")
_NUMBER = struct.Struct("<q")


class Kind(Enum):
    """Where a row lies. TEMPLATE: embedding and label, of a generation; SOURCE: where a template's
    image was; JOB_ROW: source and label, of a job."""

    TEMPLATE = b"template"
    SOURCE = b"source"
    JOB_ROW = b"job row"


def seal_pairs(
    key: DataKey,
    kind: Kind,
    owner: str,
    numbers: Sequence[int],
    firsts: Sequence[bytes],
    seconds: Sequence[bytes],
) -> list[bytes]:
    """A sealed row of each of ``numbers``."""
    start = _start(kind, owner)
    seal, pack, length = key.rows.encrypt, _NUMBER.pack, _LENGTH.pack
    random = os.urandom(NONCE_BYTES * len(numbers))  # one call: a call a row would cost as much
    sealed = []
    at = 0
    for number, first, second in zip(numbers, firsts, seconds, strict=True):
        nonce = random[at : at + NONCE_BYTES]
        at += NONCE_BYTES
        text = length(len(first)) + first + second
        sealed.append(nonce + seal(nonce, text, start + pack(number)))
    return sealed


def open_pairs(
    key: DataKey, kind: Kind, owner: str, numbers: Sequence[int], sealed: Sequence[bytes]
) -> list[tuple[bytes, bytes]]:
    """Both strings of each row. Raises UnreadableError."""
    start = _start(kind, owner)
    opened, pack, length = key.rows.decrypt, _NUMBER.pack, _LENGTH.unpack_from
    pairs = []
    try:
        for number, content in zip(numbers, sealed, strict=True):
            text = opened(content[:NONCE_BYTES], content[NONCE_BYTES:], start + pack(number))
            end = _LENGTH.size + length(text)[0]
            pairs.append((text[_LENGTH.size : end], text[end:]))
    except (InvalidTag, ValueError, struct.error):
        raise UnreadableError("a sealed row was changed, or is another row's") from None
    return pairs


def _start(kind: Kind, owner: str) -> bytes:
    return kind.value + b"\0" + owner.encode() + b"\0"
