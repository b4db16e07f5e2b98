"""What each route asks of an API key: as its part of the OpenAPI document says, so that a route and
what is told of it can't differ. One that says nothing needs the scope ADMIN.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, Literal

from fastapi.routing import APIRoute
from starlette.routing import BaseRoute, Match
from starlette.types import Scope as Head

from serve_app.access import Scope

SCHEME = "apiKey"
"""The name of the security scheme in the document."""
REMEMBERED = 64

OPEN: Literal["open"] = "open"
Needed = Scope | Literal["open"] | None


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
    same rule: what is let in here is what is answered there. ``open_paths``: of routes that need no
    key besides those that are no part of the API."""

    def __init__(self, routes: Sequence[BaseRoute], open_paths: Collection[str]) -> None:
        self._routes = routes
        self._open = open_paths
        self._fixed: dict[tuple[str, str], Needed] = {}

    def needed(self, head: Head) -> Needed:
        """OPEN where nobody needs a key; None where there is no such route, or method: with any key
        one is told so."""
        asked = head["method"], head["path"]
        if asked in self._fixed:
            return self._fixed[asked]
        for route in self._routes:
            if route.matches(head)[0] is Match.FULL:
                break
        else:
            return None
        if not isinstance(route, APIRoute) or route.path_format in self._open:
            return OPEN
        needed = scope_of(route.openapi_extra or {})
        if not route.param_convertors and len(self._fixed) < REMEMBERED:
            self._fixed[asked] = needed
        return needed
