"""What each route asks of an API key: as its part of the OpenAPI document says, so that a route and
what is told of it can't differ. One that says nothing needs the scope ADMIN.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fastapi.routing import APIRoute
from starlette.routing import BaseRoute, Match
from starlette.types import Scope as Head

from serve_app.access import Scope
from serve_app.api.probes import PROBES

SCHEME = "apiKey"
"""The name of the security scheme in the document."""
REMEMBERED = 64


def needs(scope: Scope) -> list[dict[str, Any]]:
    """``security`` of an operation that a key with ``scope`` may ask for."""
    return [{SCHEME: [str(scope)]}]


def scope_of(operation: dict[str, Any]) -> Scope:
    """Of an operation in the document, or of what a route puts into it."""
    for requirement in operation.get("security", ()):
        if SCHEME in requirement:
            return Scope(requirement[SCHEME][0])
    return Scope.ADMIN


class RouteScopes:
    """``routes``: those of the application, as its router asks them, in the same order and by the
    same rule: what is let in here is what is answered there."""

    def __init__(self, routes: Sequence[BaseRoute]) -> None:
        self._routes = routes
        self._fixed: dict[tuple[str, str], Scope | None] = {}

    def is_open(self, head: Head) -> bool:
        """Whether nobody needs a key: the probes, and the documentation, which is no secret."""
        route = self._route(head)
        return route is not None and (
            not isinstance(route, APIRoute) or route.path_format in PROBES
        )

    def needed(self, head: Head) -> Scope | None:
        """None where there is no such route, or method: any key is told so."""
        asked = head["method"], head["path"]
        if asked in self._fixed:
            return self._fixed[asked]
        route = self._route(head)
        if not isinstance(route, APIRoute):
            return None
        needed = scope_of(route.openapi_extra or {})
        if not route.param_convertors and len(self._fixed) < REMEMBERED:
            self._fixed[asked] = needed
        return needed

    def _route(self, head: Head) -> BaseRoute | None:
        for route in self._routes:
            if route.matches(head)[0] is Match.FULL:
                return route
        return None
