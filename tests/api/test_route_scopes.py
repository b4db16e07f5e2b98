from __future__ import annotations

from typing import Any

import pytest
from fastapi import FastAPI

from serve_app.access import Scope
from serve_app.api.route_scopes import OPEN, RouteScopes, needs, scope_of
from tests.api.harness import Api


def head(path: str, method: str = "GET") -> dict[str, Any]:
    return {"type": "http", "method": method, "path": path, "headers": [], "root_path": ""}


@pytest.fixture
def scopes() -> RouteScopes:
    app = FastAPI(openapi_url=None)
    for path, extra in [
        ("/fixed", {"security": needs(Scope.READ)}),
        ("/things/{key}", {"security": needs(Scope.ENROL)}),
        ("/things/{key}/rest/{more:path}", {"security": needs(Scope.READ)}),
        ("/silent", {}),
        ("/health", {}),
    ]:
        app.get(path, openapi_extra=extra)(lambda: None)
    app.get("/docs", include_in_schema=False)(lambda: None)
    app.get("/hidden", include_in_schema=False)(lambda: None)
    app.delete("/fixed", openapi_extra={"security": needs(Scope.ADMIN)})(lambda: None)
    return RouteScopes(app.routes, ["/health", "/docs"])


@pytest.mark.parametrize(
    ("path", "method", "needed"),
    [
        ("/fixed", "GET", Scope.READ),
        ("/fixed", "DELETE", Scope.ADMIN),
        ("/fixed", "POST", None),
        ("/things/a", "GET", Scope.ENROL),
        ("/things/health", "GET", Scope.ENROL),
        ("/things/a/rest/b/c", "GET", Scope.READ),
        ("/things/a/b", "GET", None),
        ("/silent", "GET", Scope.ADMIN),
        ("/hidden", "GET", Scope.ADMIN),
        ("/nowhere", "GET", None),
    ],
)
def test_a_route_needs_what_it_says_and_one_that_says_nothing_admin(
    scopes: RouteScopes, path: str, method: str, needed: Scope | None
) -> None:
    for _ in range(2):  # the second time from memory
        assert scopes.needed(head(path, method)) is needed


def test_what_is_listed_is_open_and_nothing_that_looks_like_it(scopes: RouteScopes) -> None:
    assert scopes.needed(head("/health")) == scopes.needed(head("/docs")) == OPEN
    for path, method in (("/health", "POST"), ("/health/", "GET"), ("/x/health", "GET")):
        assert scopes.needed(head(path, method)) is None


def test_what_it_remembers_is_bounded(scopes: RouteScopes) -> None:
    for number in range(1000):
        scopes.needed(head(f"/things/{number}"))
        scopes.needed(head(f"/nowhere/{number}"))
    assert len(scopes._fixed) == 0


async def test_every_operation_needs_what_its_documentation_says() -> None:
    api = Api()
    scopes = RouteScopes(api.app.routes, [])
    document = (await api.send("GET", "/openapi.json")).json()
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            if path not in ("/health", "/ready"):
                assert "security" in operation, (method, path)
                concrete = path.replace("{", "").replace("}", "")
                assert scopes.needed(head(concrete, method.upper())) is scope_of(operation)
