from __future__ import annotations

import base64
import json
from urllib.parse import quote

import msgpack
import pytest

from serve_app.audit_rows import AuditRow
from serve_app.held import Erased, Erasure, HeldPage, HeldPlace, HeldTemplate, Where
from tests.api.harness import Api, failure, result

PEOPLE, AUDIT = "/v1/people/", "/v1/audit"
BLOB = bytes(range(8))
HELD = HeldTemplate("staff", Where.SERVED, "", "g", 3, "m@1", 7, 1_700_000_000.0, None, BLOB)
ROW = AuditRow(
    "staff", 4, "", 1_700_000_000.125, "k1", "192.0.2.1", "add", "ok", "g", 2, "0-2", 3, "op",
    b"\1" * 32,
)  # fmt: skip


@pytest.fixture
def api() -> Api:
    api = Api()
    api.records.page = HeldPage([HELD], [], HeldPlace(1, 7))
    api.records.erasure = Erasure([Erased("staff", Where.INPUT, 2, "j")], {}, ["j"])
    api.records.log = [ROW]
    return api


@pytest.mark.parametrize("label", ["Ann", "a/b", "", "Zoë 王 100%?#&", "a//", "/"])
async def test_any_label(api: Api, label: str) -> None:
    for method in ("GET", "DELETE"):
        result(await api.send(method, PEOPLE + quote(label, safe="")))
    assert [asked.label for asked in api.records.asked] == [label, label]


async def test_a_person(api: Api) -> None:
    found = result(await api.send("GET", PEOPLE + "Ann?embeddings=1&limit=9"))
    assert found == {
        "galleries": [
            {
                "indexKey": "staff",
                "where": "served",
                "generation": "g",
                "model": "m@1",
                "templates": [
                    {
                        "id": 7,
                        "addedAt": "2023-11-14T22:13:20.000Z",
                        "embedding": base64.b64encode(BLOB).decode(),
                    }
                ],
            }
        ],
        "rows": [],
        "next": "t.1.7",
    }
    packed = await api.send("GET", PEOPLE + "Ann", headers={"Accept": "application/msgpack"})
    template = msgpack.unpackb(packed.content)["result"]["galleries"][0]["templates"][0]
    assert template["embedding"] == BLOB
    assert [asked.embeddings for asked in api.records.asked] == [True, False]


async def test_an_erasure(api: Api) -> None:
    assert result(await api.send("DELETE", PEOPLE + "Ann")) == {
        "erased": [{"indexKey": "staff", "where": "input", "jobId": "j", "count": 2}],
        "runningJobs": ["j"],
    }
    api.records.erasure = Erasure([], {"guests": "unavailable"}, [])
    response = await api.send("DELETE", PEOPLE + "Ann")
    assert "guests" in failure(response, 503)
    assert "Ann" not in response.text
    assert response.headers["retry-after"]


async def test_the_log(api: Api) -> None:
    found = result(await api.send("GET", AUDIT + "?indexKey=staff&since=2023-01-01T00:00:00Z"))
    assert found == {
        "rows": [
            {
                "indexKey": "staff",
                "number": 4,
                "at": "2023-11-14T22:13:20.125Z",
                "actor": "k1",
                "address": "192.0.2.1",
                "action": "add",
                "result": "ok",
                "generation": "g",
                "seq": 2,
                "ids": "0-2",
                "count": 3,
                "operation": "op",
                "digest": "01" * 32,
            }
        ]
    }
    api.records.log = [ROW, ROW]
    page = result(await api.send("GET", AUDIT + "?limit=1"))
    assert page["next"] == "1700000000125.4.staff"
    result(await api.send("GET", f"{AUDIT}?after={page['next']}"))


@pytest.mark.parametrize(
    ("address", "place"),
    [
        (PEOPLE + "Ann?after=secret", "query.after"),
        (PEOPLE + "Ann?limit=0", "query.limit"),
        (PEOPLE + "x" * 1001, "path.label"),
        (PEOPLE + "%ff", "path"),
        (AUDIT + "?after=secret", "query.after"),
        (AUDIT + "?since=secret", "query.since"),
        (AUDIT + "?indexKey=a/b", "query.indexKey"),
    ],
)
async def test_what_is_refused(api: Api, address: str, place: str) -> None:
    response = await api.send("GET", address)
    assert [problem["loc"] for problem in json.loads(failure(response, 422))] == [place]
    assert "secret" not in response.text
    assert api.records.asked == []


async def test_the_store_is_away(api: Api) -> None:
    api.records.down = True
    for method, address in (("GET", PEOPLE + "a"), ("DELETE", PEOPLE + "a"), ("GET", AUDIT)):
        failure(await api.send(method, address), 503)
