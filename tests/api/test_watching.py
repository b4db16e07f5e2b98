from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator

from serve_app.api.watching import Watching
from serve_app.errors import UnavailableError
from serve_app.service import Check, Readiness
from tests.api.harness import Api, result


async def fine() -> None:
    pass


async def broken() -> None:
    raise UnavailableError("a host and its address")


async def test_ready_says_so_of_each_stage() -> None:
    readiness = Readiness({"detector": Check(fine, ""), "store": Check(fine, "")})
    answer = await Api(watching=Watching(readiness=readiness)).send("GET", "/ready")
    assert result(answer) == {"stages": {"detector": "ready", "store": "ready"}}


async def test_what_is_not_ready_is_named_with_what_to_do() -> None:
    checks = {"detector": Check(fine, "x"), "store": Check(broken, "start the database")}
    answer = await Api(watching=Watching(readiness=Readiness(checks))).send("GET", "/ready")
    assert answer.status_code == 503
    assert answer.headers["retry-after"] == "1"
    content = answer.json()
    assert content.pop("logId")
    assert content == {
        "errorCode": 503, "errorMsg": "store is not ready: start the database"
    }  # fmt: skip


async def test_what_runs_beside_begins_and_ends_with_the_application() -> None:
    seen: list[str] = []

    @contextlib.asynccontextmanager
    async def beside() -> AsyncIterator[None]:
        seen.append("began")
        yield
        seen.append("ended")

    app = Api(watching=Watching(beside=beside)).app
    async with app.router.lifespan_context(app):
        assert seen == ["began"]
    assert seen == ["began", "ended"]
