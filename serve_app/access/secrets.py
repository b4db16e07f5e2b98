"""Secrets of API keys as they are kept: Argon2id (RFC 9106), and a tag that spares its cost.

A secret is 256 random bits, so nobody guesses one, hashed fast or slowly; what a slow hash costs
(30 ms and 19 MB, OWASP's least) would be a gift to whoever sends wrong secrets. So 32 bits of a
plain hash are kept beside it: a wrong secret fails there, but for one in four billion, and what
they give away leaves 224 bits.
"""

from __future__ import annotations

import hashlib
import hmac
import os

from cryptography.exceptions import InvalidKey
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

ITERATIONS, LANES, MEMORY_KIB = 2, 1, 19_456
TAG_BYTES = 4


def hash_secret(secret: str) -> str:
    """What to keep of ``secret``: ``TAG:PHC string``. Takes 30 ms."""
    hashed = Argon2id(
        salt=os.urandom(16),
        length=32,
        iterations=ITERATIONS,
        lanes=LANES,
        memory_cost=MEMORY_KIB,
    ).derive_phc_encoded(secret.encode())
    return f"{_tag(secret)}:{hashed}"


def may_be(secret: str, kept: str) -> bool:
    """Whether ``verify`` is worth its cost. In constant time."""
    return hmac.compare_digest(_tag(secret), kept.partition(":")[0])


def verify(secret: str, kept: str) -> bool:
    """Whether ``kept`` is of ``secret``. Takes 30 ms, without the interpreter's lock; compares in
    constant time."""
    try:
        Argon2id.verify_phc_encoded(secret.encode(), kept.partition(":")[2])
    except (InvalidKey, ValueError):
        return False
    return True


def _tag(secret: str) -> str:
    return hashlib.sha256(secret.encode()).digest()[:TAG_BYTES].hex()
