from __future__ import annotations

import json
from typing import Any

import pytest

from serve_app.types import JobRejection, JobState
from tests.api.harness import Api, failure, result

JOBS = "/v1/jobs"
BODY = {"key": "staff", "input": "/photos/staff", "jobId": "one"}
NAMED = {"Idempotency-Key": "a-key"}
ROUTES = [("GET", ""), ("DELETE", ""), ("GET", "/rejected")]


@pytest.fixture
async def api() -> Api:
    return Api()


async def begin(api: Api, headers: dict[str, str] | None = None, **fields: Any) -> dict[str, Any]:
    return result(await api.post(JOBS, {**BODY, **fields}, headers), 202)


def places(message: str) -> list[str]:
    return [problem["loc"] for problem in json.loads(message)]


async def test_a_job_from_its_beginning_to_its_end(api: Api) -> None:
    begun = await begin(api)
    assert begun == {
        "jobId": "one",
        "key": "staff",
        "mode": "create",
        "state": "queued",
        "message": "",
        "counts": {"done": 0, "accepted": 0, "rejected": 0, "duplicates": 0},
        "rate": 0.0,
        "createdAt": "2023-11-14T22:13:20.000Z",
        "changedAt": "2023-11-14T22:13:20.000Z",
    }
    facts = {"total": 9, "done": 4, "accepted": 3, "rejected": 1, "duplicates": 0}
    api.jobs.settle("one", state=JobState.RUNNING, rate=2.0, **facts)
    shown = result(await api.send("GET", f"{JOBS}/one"))
    assert (shown["state"], shown["counts"], shown["timeLeft"]) == ("running", facts, 2.5)
    api.jobs.settle("one", state=JobState.DONE, message="8 templates")
    (listed,) = result(await api.send("GET", JOBS))["jobs"]
    assert (listed["state"], listed["message"]) == ("done", "8 templates")
    assert "timeLeft" not in listed
    assert result(await api.send("DELETE", f"{JOBS}/one")) == listed
    failure(await api.send("DELETE", f"{JOBS}/one"), 404)


async def test_cancelling(api: Api) -> None:
    await begin(api)
    assert result(await api.send("DELETE", f"{JOBS}/one"))["state"] == "cancelled"
    assert result(await api.send("GET", f"{JOBS}/one"))["state"] == "cancelled"


async def test_pages_of_what_was_rejected(api: Api) -> None:
    await begin(api)
    rows = [JobRejection(n, f"/photos/{n}.jpg", "Zoë", "no face found") for n in range(3)]
    api.jobs.settle("one", *rows)
    first = result(await api.send("GET", f"{JOBS}/one/rejected?limit=2"))
    row = {"position": 0, "source": "/photos/0.jpg", "label": "Zoë", "reason": "no face found"}
    assert (first["rejected"][0], first["next"]) == (row, 1)
    last = result(await api.send("GET", f"{JOBS}/one/rejected?after=1"))
    assert [row["position"] for row in last["rejected"]] == [2]
    assert "next" not in last


async def test_the_same_key_and_body_is_the_same_job(api: Api) -> None:
    body = {"key": "staff", "input": "/photos/staff"}
    first = result(await api.post(JOBS, body, NAMED), 202)
    assert result(await api.post(JOBS, body, NAMED), 202) == first
    assert len(result(await api.send("GET", JOBS))["jobs"]) == 1
    other = await api.post(JOBS, {**body, "input": "/photos/other"}, NAMED)
    assert "Idempotency-Key was used for another request" in failure(other, 422)
    assert result(await api.post(JOBS, body), 202)["jobId"] != first["jobId"]


async def test_the_id_of_another_job(api: Api) -> None:
    await begin(api)
    response = await api.post(JOBS, {**BODY, "mode": "replace"})
    assert "another jobId" in failure(response, 409)


@pytest.mark.parametrize(
    "place",
    [
        "/etc/passwd",
        "/photos/../etc/passwd",
        "/photos/%2e%2e/../x",
        "photos/staff",
        "//etc",
        "file:///photos/staff",
        "s3://bucket/private",
        "s3://other/people",
        "gs://bucket/people",
        "http://169.254.169.254/latest/meta-data",
        "zip://a::/etc/passwd",
        "/photos/\0",
        "postgresql://user:secret@host/db",
    ],
)
async def test_forged_places_are_refused_alike(api: Api, place: str) -> None:
    replies = set()
    for field in ("input", "root"):
        message = failure(await api.post(JOBS, {**BODY, field: place}), 422)
        assert "secret" not in message
        replies.add(message.removeprefix(field))
    assert len(replies) == 1
    assert "outside of what bulk jobs may read" in replies.pop()
    assert api.jobs.begun == []


async def test_the_answer_does_not_tell_whether_a_place_is_there(api: Api) -> None:
    there = await api.post(JOBS, {**BODY, "input": "/etc/passwd"})
    not_there = await api.post(JOBS, {**BODY, "input": "/etc/nothing-of-this-name"})
    assert failure(there, 422) == failure(not_there, 422)


async def test_without_inputs_every_job_is_refused() -> None:
    api = Api(inputs=())
    message = failure(await api.post(JOBS, BODY), 422)
    assert "set jobs.inputs in the Serve file" in message


@pytest.mark.parametrize(
    ("fields", "place"),
    [
        ({"report": "/photos/a"}, "body"),
        ({"pipeline": "/photos/a"}, "body"),
        ({"unknown": 1}, "body"),
        ({"input": ["/photos"]}, "body.input"),
        ({"key": "../x"}, "body.key"),
        ({"jobId": "../x"}, "body.jobId"),
        ({"maxRejected": "inf"}, "body.maxRejected"),
        ({"sameFace": "x"}, "body.sameFace"),
        ({"mode": {"drop": 1}}, "body.mode"),
    ],
)
async def test_wrong_fields(api: Api, fields: dict[str, Any], place: str) -> None:
    assert places(failure(await api.post(JOBS, {**BODY, **fields}), 422)) == [place]
    assert api.jobs.begun == []


@pytest.mark.parametrize("content", [b"", b"[]", b"{", b"null", b'"key"', b"\xff"])
async def test_what_is_no_body(api: Api, content: bytes) -> None:
    headers = {"content-type": "application/json"}
    failure(await api.send("POST", JOBS, content=content, headers=headers), 422)
    # A page of another origin can send this without asking first.
    text = {"content-type": "text/plain"}
    body = json.dumps(BODY).encode()
    failure(await api.send("POST", JOBS, content=body, headers=text), 422)
    assert api.jobs.begun == []


@pytest.mark.parametrize("job_id", ["g%20g", "%00", "a..b", "-", "g" * 129])
@pytest.mark.parametrize(("method", "path"), ROUTES)
async def test_ids_that_are_no_ids(api: Api, method: str, path: str, job_id: str) -> None:
    response = await api.send(method, f"{JOBS}/{job_id}{path}")
    assert places(failure(response, 422)) == ["path.id"]


@pytest.mark.parametrize(("method", "path"), ROUTES)
async def test_an_unknown_job_and_a_store_that_is_down(api: Api, method: str, path: str) -> None:
    assert "does not exist" in failure(await api.send(method, f"{JOBS}/one{path}"), 404)
    await begin(api)
    api.jobs.down = True
    assert "unavailable" in failure(await api.send(method, f"{JOBS}/one{path}"), 503)
    assert "unavailable" in failure(await api.post(JOBS, BODY), 503)


@pytest.mark.parametrize(
    ("query", "place"),
    [
        ("/one/rejected?limit=0", "query.limit"),
        ("/one/rejected?after=-1", "query.after"),
        ("?limit=1001", "query.limit"),
    ],
)
async def test_bad_queries(api: Api, query: str, place: str) -> None:
    assert places(failure(await api.send("GET", JOBS + query), 422)) == [place]


async def test_log_ids_are_echoed(api: Api) -> None:
    for reply in (
        await api.post(JOBS, {**BODY, "logId": "client-7"}),
        await api.post(JOBS, {**BODY, "logId": "client-7", "key": ".."}),
        await api.send("GET", f"{JOBS}/two", json={"logId": "client-7"}),
    ):
        assert reply.json()["logId"] == "client-7"


async def test_what_nobody_foresaw_says_nothing(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken(*_: object) -> None:
        raise ValueError("Anna in /srv/data")

    monkeypatch.setattr(api.jobs, "submit", broken)
    assert failure(await api.post(JOBS, BODY), 500) == "Internal server error"
