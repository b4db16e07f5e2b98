"""What observers are told of each answer: facts that name nobody.

Must not know who observes. A route is told as its pattern: paths hold labels and gallery keys.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from starlette.types import Scope

OTHER = "other"
"""The route of what was refused unread or has none: there are as many of those as clients like."""
METHODS = frozenset({"GET", "HEAD", "POST", "DELETE"})
"""Those of our routes. A client may invent others."""


@dataclass(frozen=True, slots=True)
class Answered:
    """``seconds``: from the request's head to that of the answer; ``stages``: of these, by stage.
    ``failure``: an error's code, "" for none; ``trace_id``: "" if it is not traced."""

    method: str
    route: str
    status: int
    seconds: float
    stages: Mapping[str, float]
    failure: str = ""
    log_id: str = ""
    trace_id: str = ""


Observe = Callable[[Answered], None]


def nobody(_: Answered) -> None:
    pass


def each_of(*observers: Observe) -> Observe:
    def observe(answered: Answered) -> None:
        for one in observers:
            one(answered)

    return observe


def method_of(scope: Scope) -> str:
    method: str = scope["method"]
    return method if method in METHODS else OTHER


def route_of(scope: Scope, known: tuple[str, ...]) -> str:
    """The pattern of the route that took the request, or which of ``known`` its path ends with."""
    route = getattr(scope.get("route"), "path", None)
    if isinstance(route, str):
        return route
    path: str = scope["path"]
    return next((one for one in known if path.endswith(one)), OTHER)
