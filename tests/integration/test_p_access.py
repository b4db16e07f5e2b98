"""Keys, tenants and quotas in a service of two Ingress and two Index replicas: keys are made,
rotated and revoked beside it, by the command that operators use."""

from __future__ import annotations

import base64
import statistics
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from tests.integration.guarded import (
    INGRESSES,
    NOTICED_S,
    build,
    create,
    face_serve,
    id_of,
    wait_for,
)
from tests.integration.pictures import gallery_image
from tests.integration.service import Service

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]


def keys_of(guarded: Service, headers: dict[str, str]) -> list[str]:
    listed = guarded.get("/v1/galleries", headers).json()["result"]["galleries"]
    return [gallery["indexKey"] for gallery in listed]


def test_nobody_gets_in_without_a_key_but_to_the_probes(guarded: Service) -> None:
    for path in ("/health", "/ready", "/docs", "/openapi.json"):
        assert guarded.get(path).status_code == 200, path
    for path in ("/v1/galleries", "/v1/jobs", "/nowhere"):
        refused = guarded.get(path)
        assert (refused.status_code, refused.json()["errorCode"]) == (401, 401)
    assert build(guarded, {}, "friends").status_code == 401


def test_each_tenant_has_its_own_and_the_operator_sees_all(guarded: Service) -> None:
    scopes = ("--scope", "read", "--scope", "enrol")
    acme, other = (create(guarded, "--tenant", name, *scopes) for name in ("acme", "other"))
    assert build(guarded, acme, "friends").status_code == 200
    assert build(guarded, acme, "friends").status_code == 409
    assert keys_of(guarded, other) == []
    assert build(guarded, other, "friends").status_code == 200
    assert keys_of(guarded, acme) == keys_of(guarded, other) == ["friends"]
    dropped = httpx.delete(guarded.url + "/v1/galleries/friends", headers=acme, trust_env=False)
    assert dropped.status_code == 403  # that is admin's
    listed = face_serve(guarded, "gallery", "list")
    assert "acme/friends" in listed
    assert "other/friends" in listed
    face_serve(guarded, "gallery", "drop", "acme/friends", "--yes")
    assert keys_of(guarded, acme) == []
    assert keys_of(guarded, other) == ["friends"]


def test_a_persons_data_and_who_changed_it(guarded: Service) -> None:
    scopes = ("--scope", "enrol", "--scope", "admin")
    mine, other = (create(guarded, "--tenant", name, *scopes) for name in ("people", "strangers"))
    built = build(guarded, mine, "visitors")
    assert built.status_code == 200, built.text

    def held(headers: dict[str, str]) -> list[tuple[str, list[int]]]:
        found = guarded.get("/v1/people/Anna?embeddings=true", headers).json()["result"]
        return [
            (one["indexKey"], [t["id"] for t in one["templates"]]) for one in found["galleries"]
        ]

    assert held(mine) == [("visitors", [0])]
    assert held(other) == []
    for erased in ([{"indexKey": "visitors", "where": "served", "count": 1}], []):
        done = httpx.delete(guarded.url + "/v1/people/Anna", headers=mine, trust_env=False)
        assert done.json()["result"] == {"erased": erased, "runningJobs": []}
    assert held(mine) == []
    rows = guarded.get("/v1/audit", mine).json()["result"]["rows"]
    assert [(row["indexKey"], row["action"], row["ids"]) for row in rows] == [
        ("visitors", "build", "0"),
        ("visitors", "export_label", "0"),
        ("visitors", "erase_label", "0"),
    ]
    assert {(row["actor"], row["address"]) for row in rows} == {(id_of(mine), "127.0.0.1")}
    assert guarded.get("/v1/audit", other).json()["result"]["rows"] == []
    assert face_serve(guarded, "audit", "verify").endswith("nothing was changed")


def test_a_key_that_is_revoked_opens_nothing_within_five_seconds(guarded: Service) -> None:
    headers = create(guarded, "--scope", "read")
    face_serve(guarded, "keys", "revoke", id_of(headers))
    assert wait_for(guarded, headers, opens=False) < NOTICED_S


def test_a_key_is_rotated_without_a_gap(guarded: Service) -> None:
    old = create(guarded, "--scope", "read")
    token = face_serve(guarded, "keys", "rotate", id_of(old), "--grace", "8s")
    rotated = time.monotonic()
    new = {"Authorization": f"Bearer {token}"}
    wait_for(guarded, new, opens=True)
    while time.monotonic() < rotated + 6:
        assert guarded.get("/v1/galleries", old).status_code == 200
        assert guarded.get("/v1/galleries", new).status_code == 200
        time.sleep(0.1)
    time.sleep(max(0.0, rotated + 8 - time.monotonic()))
    assert wait_for(guarded, old, opens=False) < NOTICED_S
    assert guarded.get("/v1/galleries", new).status_code == 200


def test_a_quota_is_one_for_both_replicas(guarded: Service) -> None:
    """In 10 s at 20 a second and 20 at once: 220 for one counter. Two that tell each other every
    second may be ahead by what one of them may let through in between, and not by more."""
    headers = create(guarded, "--scope", "read", "--requests-per-s", "20", "--burst", "20")
    time.sleep(2)  # what `create` spent
    ends = time.monotonic() + 10
    counted: dict[int, int] = {}

    def client(_: int) -> list[httpx.Response]:
        answers = []
        with httpx.Client(trust_env=False, headers=headers) as connection:
            while time.monotonic() < ends:
                answers.append(connection.get(guarded.url + "/v1/galleries"))
                time.sleep(0.02)
        return answers

    with ThreadPoolExecutor(4) as threads:
        answers = [answer for each in threads.map(client, range(4)) for answer in each]
    for answer in answers:
        counted[answer.status_code] = counted.get(answer.status_code, 0) + 1
    assert set(counted) == {200, 429}
    ahead = (INGRESSES - 1) * (20 + 20 * 1.5)
    assert 0.85 * 220 <= counted[200] <= 220 + ahead, counted
    refused = next(answer for answer in answers if answer.status_code == 429)
    assert int(refused.headers["retry-after"]) >= 1
    assert "quota of requests" in refused.json()["errorMsg"]


def test_quotas_of_faces_and_galleries_are_the_tenants(guarded: Service) -> None:
    headers = create(guarded, "--tenant", "small", "--scope", "enrol", "--scope", "read")
    face_serve(guarded, "tenants", "quota", "small", "--galleries", "1")
    time.sleep(NOTICED_S / 2)
    assert build(guarded, headers, "one").status_code == 200
    refused = build(guarded, headers, "two")
    assert refused.status_code == 429
    assert "quota of galleries: 1 of 1" in refused.json()["errorMsg"]
    assert "retry-after" in refused.headers


def test_a_tenants_job_runs_and_is_its_own(guarded: Service) -> None:
    headers = create(guarded, "--tenant", "jobs", "--scope", "enrol", "--scope", "read")
    other = create(guarded, "--tenant", "other", "--scope", "enrol", "--scope", "read")
    person = guarded.directory / "inputs" / "jobs" / "Anna"
    person.mkdir(parents=True)
    (person / "1.png").write_bytes(base64.b64decode(gallery_image(5)))
    body = {"key": "staff", "input": str(person.parent), "jobId": "monday"}
    assert guarded.post("/v1/jobs", body, headers).status_code == 202
    deadline = time.monotonic() + 120
    while True:
        job = guarded.get("/v1/jobs/monday", headers).json()["result"]
        if job["state"] in ("done", "failed") or time.monotonic() > deadline:
            break
        assert guarded.get("/v1/jobs/monday", other).status_code == 404
        time.sleep(0.3)
    assert (job["state"], job["jobId"], job["key"]) == ("done", "monday", "staff"), job
    assert keys_of(guarded, headers) == ["staff"]
    assert guarded.get("/v1/galleries/staff", other).status_code == 404


def test_whether_anothers_gallery_is_there_does_not_show_in_the_time(guarded: Service) -> None:
    """Medians of many, in turn: what a look-up more would take is a multiple of what is allowed."""
    acme, other = (
        create(guarded, "--tenant", name, "--scope", "read", "--scope", "enrol")
        for name in ("timed", "timing")
    )
    assert build(guarded, acme, "secret").status_code == 200
    body = {"image": gallery_image(0), "visualize": False}
    took: dict[str, list[float]] = {"secret": [], "nobodys": []}
    with httpx.Client(trust_env=False, headers=other) as client:
        for _ in range(200):
            for key, seconds in took.items():
                started = time.perf_counter()
                answer = client.get(f"{guarded.url}/v1/galleries/{key}")
                seconds.append(time.perf_counter() - started)
                assert answer.status_code == 404
        for key in took:
            answer = client.post(
                f"{guarded.url}/face-recognition-infer", json={**body, "indexKey": key}
            )
            assert answer.status_code == 404
    theirs, nobodys = (statistics.median(seconds) for seconds in took.values())
    assert theirs == pytest.approx(nobodys, rel=0.15)


def test_an_erased_tenant_is_gone_within_five_seconds(guarded: Service) -> None:
    """By its data keys: its galleries, which replicas have in memory, and its API keys."""
    headers = create(guarded, "--tenant", "leaving", "--scope", "enrol", "--scope", "read")
    assert build(guarded, headers, "friends").status_code == 200
    body = {"image": gallery_image(0), "indexKey": "friends", "visualize": False}
    for _ in range(8):
        assert guarded.post("/face-recognition-infer", body, headers).status_code == 200
    assert "leaving" in face_serve(guarded, "encryption", "status")
    face_serve(guarded, "tenants", "erase", "leaving", "--yes")
    assert wait_for(guarded, headers, opens=False) < NOTICED_S
    assert "leaving/" not in face_serve(guarded, "gallery", "list")
    refused = subprocess.run(
        [
            *(Path(sys.executable).parent / "face-serve", "keys", "create", "--name", "again"),
            *("--tenant", "leaving", "--scope", "read"),
            *("--config", guarded.directory / "serve.yaml"),
        ],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (refused.returncode, "was erased" in refused.stderr) == (2, True)
