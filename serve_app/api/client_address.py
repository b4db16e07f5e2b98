"""Where a request comes from."""

from __future__ import annotations

from starlette.types import Scope


def client_address(scope: Scope) -> str:
    """The address of the peer, "" where the server does not know it."""
    client = scope.get("client")
    return str(client[0]) if client else ""
