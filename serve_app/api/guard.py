"""The guard, just inside the gate: who asks, and whether it may.

Pure ASGI. It decides by the head alone: what is refused here was not read. Without a ring of keys
everybody may everything, and is only told apart by its address.
"""

from __future__ import annotations

from math import inf

from starlette.types import ASGIApp, Receive, Scope, Send

from serve_app.access.ring import KeyRing
from serve_app.api.client_address import client_address
from serve_app.api.refusal import Refuser, Upload, content_length
from serve_app.api.route_scopes import OPEN, RouteScopes
from serve_app.config import Limits
from serve_app.errors import FaceServeError, TooLargeError, UnauthorizedError
from serve_app.request_context import current_request
from serve_app.types import Caller

BEARER = b"bearer "


class Guard:
    """ASGI middleware. ``scopes``: of the application that is guarded; ``ring``: None where no keys
    are asked for; ``proof``: as ``Edge`` has it."""

    def __init__(
        self,
        app: ASGIApp,
        scopes: RouteScopes,
        ring: KeyRing | None,
        limits: Limits,
        proof: str | None = None,
    ) -> None:
        self._app = app
        self._scopes = scopes
        self._ring = ring
        self._proof = proof
        self._refuser = Refuser(limits.body_bytes, limits.body_timeout_s)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            try:
                await self._let_in(scope)
            except FaceServeError as error:
                await self._refuser.refuse(error, scope, Upload(receive), send)
                return
        await self._app(scope, receive, send)

    async def _let_in(self, scope: Scope) -> None:
        """Raises UnauthorizedError, ForbiddenError, QuotaError, UnavailableError, TooLargeError."""
        context = current_request()
        if self._ring is None:
            context.caller = Caller(address=client_address(scope, self._proof))
            return
        needed = self._scopes.needed(scope)
        if needed == OPEN:
            return
        address = client_address(scope, self._proof)
        admitted = await self._ring.admit(_token(scope), needed, address)
        context.caller = admitted.caller
        context.max_body_bytes = inf if admitted.body_bytes is None else admitted.body_bytes
        if (content_length(scope) or 0) > context.max_body_bytes:
            raise TooLargeError(
                f"the body is over this key's quota of {context.max_body_bytes} bytes: send it in "
                "several requests"
            )


def _token(scope: Scope) -> str | None:
    """What the header Authorization presents (RFC 6750), None without it."""
    given = [value for name, value in scope["headers"] if name == b"authorization"]
    if not given:
        return None
    if len(given) > 1 or not given[0].lower().startswith(BEARER):
        raise UnauthorizedError("send one header 'Authorization: Bearer KEY'")
    token: str = given[0][len(BEARER) :].strip().decode("latin-1")
    return token
