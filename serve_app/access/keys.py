"""API keys: what a client presents, and what is kept of it.

A token is ``fs_ID_SECRET``. The id is no secret: it finds the key, in the database, in logs and in
the audit log. Of the secret (256 random bits) only hashes are kept (``access.secrets``).
"""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass
from enum import StrEnum

from serve_app.access.quota import NO_LIMITS, Quota

PREFIX = "fs"
"""By it a token is known for one of ours: by people, and by scanners for leaked secrets."""
ID_BYTES, SECRET_BYTES = 6, 32

_TOKEN = re.compile(rf"{PREFIX}_([0-9a-f]{{{2 * ID_BYTES}}})_([A-Za-z0-9_-]{{43}})")


class Scope(StrEnum):
    """READ: recognise, list, look. ENROL: build, add, remove, jobs. ADMIN: drop galleries, what is
    held about people, the audit log. None of them implies another."""

    READ = "read"
    ENROL = "enrol"
    ADMIN = "admin"


ALL_SCOPES = frozenset(Scope)


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A key as it is kept. ``secret``: its hash. Times are seconds since the epoch; ``revision``
    orders the changes of all keys and tenants."""

    id: str
    tenant: str
    name: str
    secret: str
    scopes: frozenset[Scope]
    quota: Quota = NO_LIMITS
    created_at: float = 0.0
    expires_at: float | None = None
    revoked_at: float | None = None
    revision: int = 0

    def is_live(self, now: float) -> bool:
        """Whether it opens anything at ``now`` (seconds since the epoch)."""
        expired = self.expires_at is not None and self.expires_at <= now
        return self.revoked_at is None and not expired


def new_token() -> str:
    return f"{PREFIX}_{secrets.token_hex(ID_BYTES)}_{secrets.token_urlsafe(SECRET_BYTES)}"


def parse_token(token: str) -> tuple[str, str] | None:
    """Id and secret, or None if it can't be one of ours."""
    found = _TOKEN.fullmatch(token)
    return None if found is None else (found[1], found[2])
