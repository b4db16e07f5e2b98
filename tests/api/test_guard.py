"""The guard before the real application: what it refuses was not read."""

from __future__ import annotations

import asyncio
import json
import re
from typing import Any

import httpx
import pytest

from serve_app.access import ALL_SCOPES, Quota, Scope
from serve_app.access.ring import KeyRing
from serve_app.config import Limits
from tests.access.registry import MemoryRegistry, id_of
from tests.api.harness import INFER, Api, failure, result, wire, wire_pairs
from tests.fakes import RED, picture

IMAGE = picture(RED)


class Guarded:
    def __init__(self, limits: Limits | None = None) -> None:
        self.registry = MemoryRegistry()
        self.api = Api(limits=limits, ring=KeyRing(self.registry))

    async def get(self, *headers: tuple[str, str]) -> httpx.Response:
        return await self.api.send("GET", "/v1/galleries", headers=list(headers))


@pytest.fixture
def guarded() -> Guarded:
    return Guarded()


@pytest.mark.parametrize("form", ["Bearer {}", "bearer {}", "BEARER  {}", "Bearer {} "])
async def test_the_header_is_read_as_rfc_6750_has_it(guarded: Guarded, form: str) -> None:
    token = guarded.registry.make(Scope.READ)
    result(await guarded.get(("Authorization", form.format(token))))


@pytest.mark.parametrize("form", ["{}", "Basic {}", "Bearer", "Bearer{}", "Token {}", ""])
async def test_any_other_header_is_refused(guarded: Guarded, form: str) -> None:
    token = guarded.registry.make(Scope.READ)
    failure(await guarded.get(("Authorization", form.format(token))), 401)


async def test_two_headers_are_refused_even_if_both_are_right(guarded: Guarded) -> None:
    header = ("Authorization", f"Bearer {guarded.registry.make(Scope.READ)}")
    failure(await guarded.get(header, header), 401)


async def test_a_refusal_names_no_part_of_what_was_sent(guarded: Guarded) -> None:
    token = MemoryRegistry().make(*ALL_SCOPES)
    said = (await guarded.get(("Authorization", f"Bearer {token}"))).text
    assert token not in said
    assert id_of(token) not in said


async def test_over_the_quota_is_429_with_retry_after(guarded: Guarded) -> None:
    token = guarded.registry.make(Scope.READ, quota=Quota(requests_per_s=0.1, burst=3))
    header = ("Authorization", f"Bearer {token}")
    for _ in range(3):
        result(await guarded.get(header))
    response = await guarded.get(header)
    assert "quota of requests" in failure(response, 429)
    assert 9 <= int(response.headers["retry-after"]) <= 10


async def test_while_keys_cannot_be_checked_nobody_is_let_in(guarded: Guarded) -> None:
    token = guarded.registry.make(Scope.READ)
    guarded.registry.down = True
    response = await guarded.get(("Authorization", f"Bearer {token}"))
    assert "can't be checked" in failure(response, 503)
    assert "retry-after" in response.headers


def infer(size: int) -> bytes:
    body = json.dumps({"image": wire(IMAGE), "indexKey": "k"}).encode()
    return body + b" " * (size - len(body))


async def test_a_body_over_the_keys_quota_is_refused_unread_or_where_it_is_reached() -> None:
    guarded = Guarded(Limits(body_bytes=1_000_000))
    token = guarded.registry.make(Scope.READ, quota=Quota(body_bytes=5000))
    free = guarded.registry.make(Scope.READ)

    async def ask(token: str, content: Any) -> httpx.Response:
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        return await guarded.api.send("POST", INFER, content=content, headers=headers)

    async def chunks(size: int) -> Any:
        for start in range(0, size, 1000):
            yield infer(size)[start : start + 1000]

    for content in (infer(5001), chunks(5001)):
        assert "5000 bytes" in failure(await ask(token, content), 413)
    for content in (infer(5000), chunks(5000)):
        failure(await ask(token, content), 404)  # read: there is no such gallery
    for content in (infer(900_000), chunks(900_000)):
        failure(await ask(free, content), 404)


async def test_the_stages_are_told_who_asks(guarded: Guarded) -> None:
    token = guarded.registry.make(*ALL_SCOPES, tenant="acme")
    headers = {"Authorization": f"Bearer {token}"}
    body = {"imageLabelPairs": wire_pairs((IMAGE, "Anna")), "indexKey": "friends"}
    built = await guarded.api.post("/face-recognition-index-build", body, headers)
    assert result(built)["indexKey"] == "friends"
    assert (await guarded.api.index.describe("acme/friends")).size == 1


async def test_many_at_once_with_a_key_that_nobody_used_yet_are_all_let_in(
    guarded: Guarded,
) -> None:
    header = ("Authorization", f"Bearer {guarded.registry.make(Scope.READ)}")
    answers = await asyncio.gather(*(guarded.get(header) for _ in range(50)))
    assert {answer.status_code for answer in answers} == {200}
    assert len(guarded.registry.asked) == 1


async def test_the_documentation_is_open_with_all_that_it_loads(guarded: Guarded) -> None:
    page = await guarded.api.send("GET", "/docs")
    assert page.status_code == 200
    loaded = re.findall(r'(?:src|href)="(/[^"]+)"', page.text)
    assert len(loaded) >= 2
    for path in ("/openapi.json", *loaded):
        assert (await guarded.api.send("GET", path)).status_code == 200, path
