"""Where a request comes from: the peer of its connection, or what our own proxy says of it.

Behind ``face-serve-haproxy`` every peer is the proxy. It writes the client's address into a header,
with a proof that only it can know (``deployments.haproxy``), in the place of what a client wrote
there. X-Forwarded-For counts for nothing: anyone may write it.
"""

from __future__ import annotations

import hmac

from starlette.types import Scope

HEADER = "x-face-serve-client"
_NAME = HEADER.encode("ascii")
UNKNOWN = ""


def client_address(scope: Scope, proof: str | None) -> str:
    """An IP address, or "" where there is none. ``proof``: None if there is no proxy of ours."""
    if proof is not None:
        for name, value in scope["headers"]:
            if name == _NAME:
                address, _, shown = bytes(value).partition(b" ")
                if hmac.compare_digest(shown, proof.encode("ascii")):
                    return address.decode("latin-1")
    client = scope.get("client")
    return str(client[0]) if client else UNKNOWN
