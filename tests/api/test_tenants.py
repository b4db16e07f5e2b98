"""Every operation of the OpenAPI document, asked with every wrong key and by every wrong tenant."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from serve_app.access import ALL_SCOPES, Scope
from serve_app.access.ring import KeyRing
from serve_app.audit_rows import AuditRow
from serve_app.held import Erased, Erasure, HeldPage, HeldTemplate, Where
from serve_app.types import Job, JobState
from tests.access.registry import MemoryRegistry
from tests.api.every_operation import Call, Examples, every_operation
from tests.api.harness import Api, failure, wire, wire_pairs
from tests.fakes import RED, picture

IMAGE = picture(RED)
OWNED = Examples("owned", "owned-job", "Anna", wire(IMAGE))
NOBODYS = Examples("nobodys", "nobodys-job", "Anna", wire(IMAGE))
CREATES = {"/face-recognition-index-build", "/v1/jobs"}
"""Make what they name: another tenant gets its own."""
LISTS = {"/v1/galleries", "/v1/jobs", "/v1/people/{label}", "/v1/audit"}
"""Name nothing, or what each tenant may have: another sees none of it."""

DOCUMENT = Api().app.openapi()
CALLS = every_operation(DOCUMENT, OWNED)
TWIN = dict(zip(map(str, CALLS), every_operation(DOCUMENT, NOBODYS), strict=True))
"""Of each call the same for what nobody has."""
each_call = pytest.mark.parametrize("call", CALLS, ids=str)


class Keys:
    """Of every kind, in one registry. Hashing them takes longer than the tests."""

    def __init__(self) -> None:
        self.registry = MemoryRegistry()
        self.owner = self.registry.make(*ALL_SCOPES, tenant="acme")
        self.other = self.registry.make(*ALL_SCOPES, tenant="other")
        self.default = self.registry.make(*ALL_SCOPES)
        self.lacking = {
            scope: self.registry.make(*ALL_SCOPES - {scope}, tenant="acme") for scope in Scope
        }
        self.alone = {scope: self.registry.make(scope, tenant="acme") for scope in Scope}
        self.revoked = self.registry.make(*ALL_SCOPES, tenant="acme")
        self.registry.revoke(self.revoked)
        self.expired = self.registry.make(*ALL_SCOPES, tenant="acme", expires_at=1.0)


@pytest.fixture(scope="module")
def keys() -> Keys:
    return Keys()


class Tenants:
    """The API with keys, and what tenant ``acme`` has in it."""

    def __init__(self, keys: Keys) -> None:
        self.keys = keys
        self.api = Api(ring=KeyRing(keys.registry))

    async def own(self) -> None:
        build = Call(
            "POST", "", "/face-recognition-index-build", OWNED.body("BuildRequest"), Scope.ENROL
        )
        assert build.body is not None
        pairs = wire_pairs((IMAGE, OWNED.label), (IMAGE, "Carla"))
        assert (
            await self.ask(build, self.keys.owner, {**build.body, "imageLabelPairs": pairs})
        ).is_success
        submit = Call("POST", "", "/v1/jobs", OWNED.body("JobBody"), Scope.ENROL)
        assert (await self.ask(submit, self.keys.owner)).is_success
        name, job = f"acme/{OWNED.gallery}", f"acme/{OWNED.job}"
        held = HeldTemplate(name, Where.STAGED, job, "g", 1, "m@1", 0, None, None, None)
        row = AuditRow(name, 0, "acme", 1.0, "k", "", "add", "ok", "g", 1, "0", 1, "op")
        self.api.records.tenant = "acme"
        self.api.records.page = HeldPage([held], [])
        self.api.records.erasure = Erasure([Erased(name, Where.STAGED, 1, job)], {}, [job])
        self.api.records.log = [row]

    async def ask(
        self, call: Call, token: str | None, body: dict[str, Any] | None = None
    ) -> httpx.Response:
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        return await self.api.send(call.method, call.path, json=body or call.body, headers=headers)

    async def owned(self) -> tuple[list[tuple[int, str]], Job]:
        """What ``acme`` has: its gallery's templates and its job."""
        templates = await self.api.index.templates(f"acme/{OWNED.gallery}", None, -1, 99)
        return [(t.id, t.label) for t in templates], await self.api.jobs.job(f"acme/{OWNED.job}")


@pytest.fixture
async def tenants(keys: Keys) -> Tenants:
    made = Tenants(keys)
    await made.own()
    return made


def test_there_is_an_operation_of_every_kind() -> None:
    assert len(CALLS) >= 15
    assert {call.needed for call in CALLS} == set(Scope)


@each_call
async def test_without_a_key_that_opens_nothing_is_done(tenants: Tenants, call: Call) -> None:
    before = await tenants.owned()
    for token in (
        None,
        tenants.keys.revoked,
        tenants.keys.expired,
        MemoryRegistry().make(),
        "fs_",
        "x",
    ):
        response = await tenants.ask(call, token)
        assert "API key" in failure(response, 401)
        assert response.headers["www-authenticate"].startswith("Bearer")
    assert await tenants.owned() == before


@each_call
async def test_without_its_scope_nothing_is_done(tenants: Tenants, call: Call) -> None:
    before = await tenants.owned()
    said = failure(await tenants.ask(call, tenants.keys.lacking[call.needed]), 403)
    assert f"'{call.needed}'" in said
    assert await tenants.owned() == before


@each_call
async def test_its_scope_is_enough(tenants: Tenants, call: Call) -> None:
    response = await tenants.ask(call, tenants.keys.alone[call.needed])
    assert response.status_code not in (401, 403), response.text


@each_call
@pytest.mark.parametrize("asking", ["other", "default"])
async def test_another_tenant_sees_and_changes_nothing(
    tenants: Tenants, call: Call, asking: str
) -> None:
    before = await tenants.owned()
    token: str = getattr(tenants.keys, asking)
    response = await tenants.ask(call, token)
    nothing = await tenants.ask(TWIN[str(call)], token)
    if call.template in CREATES and call.method == "POST":
        assert response.is_success, response.text
    elif call.template in LISTS:
        assert response.json()["result"] == nothing.json()["result"]
        assert OWNED.gallery not in response.text
    else:
        said = failure(response, 404)
        assert _as_nobodys(said) == failure(nothing, 404)
        assert "acme" not in said
    assert await tenants.owned() == before


def _as_nobodys(text: str) -> str:
    return text.replace(OWNED.job, NOBODYS.job).replace(OWNED.gallery, NOBODYS.gallery)


@each_call
async def test_the_owner_is_answered(tenants: Tenants, call: Call) -> None:
    if call.template == "/face-recognition-index-build":
        failure(await tenants.ask(call, tenants.keys.owner), 409)  # it has this gallery already
    else:
        response = await tenants.ask(call, tenants.keys.owner)
        assert response.is_success, response.text
        assert "acme" not in response.text


async def test_an_unknown_address_needs_a_key_too(tenants: Tenants) -> None:
    for method, path, status in (("GET", "/nowhere", 404), ("PUT", "/v1/galleries", 405)):
        call = Call(method, path, path, None, Scope.READ)
        failure(await tenants.ask(call, None), 401)
        failure(await tenants.ask(call, tenants.keys.owner), status)


async def test_the_same_idempotency_key_of_two_tenants_names_two_changes(tenants: Tenants) -> None:
    body = {"imageLabelPairs": wire_pairs((IMAGE, "Dora")), "indexKey": "twice"}
    for token, headers in (
        (tenants.keys.owner, {"Idempotency-Key": "monday"}),
        (tenants.keys.other, {"Idempotency-Key": "monday"}),
    ):
        for _ in range(2):
            response = await tenants.api.send(
                "POST",
                "/face-recognition-index-build",
                json=body,
                headers={"Authorization": f"Bearer {token}", **headers},
            )
            assert response.is_success, response.text
            assert response.json()["result"]["indexKey"] == "twice"
    for tenant in ("acme", "other"):
        assert (await tenants.api.index.describe(f"{tenant}/twice")).size == 1


async def test_a_key_with_a_slash_reaches_nobody(tenants: Tenants) -> None:
    for name in (
        f"acme/{OWNED.gallery}",
        f"other/../acme/{OWNED.gallery}",
        f"acme%2F{OWNED.gallery}",
    ):
        body = {**OWNED.body("InferRequest"), "indexKey": name}
        call = Call("POST", "", "/face-recognition-infer", body, Scope.READ)
        failure(await tenants.ask(call, tenants.keys.default), 422)
        path = f"/v1/galleries/{name.replace('/', '%2F')}"
        response = await tenants.ask(Call("GET", "", path, None, Scope.READ), tenants.keys.default)
        assert response.status_code in (404, 422), response.text
        assert OWNED.label not in response.text


async def test_a_cancelled_job_of_another_goes_on(tenants: Tenants) -> None:
    call = Call("DELETE", "", f"/v1/jobs/{OWNED.job}", None, Scope.ENROL)
    failure(await tenants.ask(call, tenants.keys.other), 404)
    assert (await tenants.owned())[1].state is JobState.QUEUED
