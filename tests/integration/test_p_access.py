"""Keys, tenants and quotas in a service of two Ingress and two Index replicas: keys are made,
rotated and revoked beside it, by the command that operators use."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.integration.pictures import gallery_image
from tests.integration.service import Service, small_cluster

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]

NOTICED_S = 5.0
INGRESSES = 2


def content(data_dir: Path) -> dict[str, Any]:
    made = small_cluster(data_dir)
    (face,) = made["applications"]
    face["args"]["access"] = {"keys": True}
    (ingress,) = [one for one in face["deployments"] if one["name"] == "Ingress"]
    ingress["num_replicas"] = INGRESSES
    return made


@pytest.fixture(scope="module")
def service() -> Iterator[Service]:
    with tempfile.TemporaryDirectory(prefix="fs-", dir="/tmp") as directory:
        service = Service(Path(directory), content)
        service.start()
        yield service
        service.stop()
        assert service.is_closed()


def face_serve(service: Service, *words: str) -> str:
    """What a command prints on standard output."""
    return subprocess.run(
        [Path(sys.executable).parent / "face-serve", *words, "--data-dir", service.data_dir],
        check=True,
        capture_output=True,
        text=True,
        timeout=60,
    ).stdout.strip()


def create(service: Service, *words: str) -> dict[str, str]:
    """The header that presents a new key, once every replica knows it."""
    token = face_serve(service, "keys", "create", "--name", "test", *words)
    headers = {"Authorization": f"Bearer {token}"}
    wait_for(service, headers, opens=True)
    return headers


def id_of(headers: dict[str, str]) -> str:
    return headers["Authorization"].split("_")[1]


def wait_for(service: Service, headers: dict[str, str], *, opens: bool) -> float:
    """Seconds until it is so on every replica: each request has a connection of its own, and
    HAProxy sends them to both in turn."""
    started = time.monotonic()
    last = started
    while time.monotonic() < last + 0.5:
        answered = service.get("/v1/galleries", headers).status_code
        assert answered in (200, 401, 403)
        if (answered != 401) is not opens:
            last = time.monotonic()
            assert last - started < 2 * NOTICED_S
        time.sleep(0.02)
    return last - started


def build(service: Service, headers: dict[str, str], key: str) -> httpx.Response:
    body = {"imageLabelPairs": [{"image": gallery_image(0), "label": "Anna"}], "indexKey": key}
    return service.post("/face-recognition-index-build", body, headers)


def keys_of(service: Service, headers: dict[str, str]) -> list[str]:
    listed = service.get("/v1/galleries", headers).json()["result"]["galleries"]
    return [gallery["indexKey"] for gallery in listed]


def test_nobody_gets_in_without_a_key_but_to_the_probes(service: Service) -> None:
    for path in ("/health", "/ready", "/docs", "/openapi.json"):
        assert service.get(path).status_code == 200, path
    for path in ("/v1/galleries", "/v1/jobs", "/nowhere"):
        refused = service.get(path)
        assert (refused.status_code, refused.json()["errorCode"]) == (401, 401)
    assert build(service, {}, "friends").status_code == 401


def test_each_tenant_has_its_own_and_the_operator_sees_all(service: Service) -> None:
    scopes = ("--scope", "read", "--scope", "enrol")
    acme, other = (create(service, "--tenant", name, *scopes) for name in ("acme", "other"))
    assert build(service, acme, "friends").status_code == 200
    assert build(service, acme, "friends").status_code == 409
    assert keys_of(service, other) == []
    assert build(service, other, "friends").status_code == 200
    assert keys_of(service, acme) == keys_of(service, other) == ["friends"]
    dropped = httpx.delete(service.url + "/v1/galleries/friends", headers=acme, trust_env=False)
    assert dropped.status_code == 403  # that is admin's
    listed = face_serve(service, "gallery", "list")
    assert "acme/friends" in listed
    assert "other/friends" in listed
    face_serve(service, "gallery", "drop", "acme/friends", "--yes")
    assert keys_of(service, acme) == []
    assert keys_of(service, other) == ["friends"]


def test_a_key_that_is_revoked_opens_nothing_within_five_seconds(service: Service) -> None:
    headers = create(service, "--scope", "read")
    face_serve(service, "keys", "revoke", id_of(headers))
    assert wait_for(service, headers, opens=False) < NOTICED_S


def test_a_key_is_rotated_without_a_gap(service: Service) -> None:
    old = create(service, "--scope", "read")
    token = face_serve(service, "keys", "rotate", id_of(old), "--grace", "8s")
    rotated = time.monotonic()
    new = {"Authorization": f"Bearer {token}"}
    wait_for(service, new, opens=True)
    while time.monotonic() < rotated + 6:
        assert service.get("/v1/galleries", old).status_code == 200
        assert service.get("/v1/galleries", new).status_code == 200
        time.sleep(0.1)
    time.sleep(max(0.0, rotated + 8 - time.monotonic()))
    assert wait_for(service, old, opens=False) < NOTICED_S
    assert service.get("/v1/galleries", new).status_code == 200


def test_a_quota_is_one_for_both_replicas(service: Service) -> None:
    """In 10 s at 20 a second and 20 at once: 220 for one counter. Two that tell each other every
    second may be ahead by what one of them may let through in between, and not by more."""
    headers = create(service, "--scope", "read", "--requests-per-s", "20", "--burst", "20")
    time.sleep(2)  # what `create` spent
    ends = time.monotonic() + 10
    counted: dict[int, int] = {}

    def client(_: int) -> list[httpx.Response]:
        answers = []
        with httpx.Client(trust_env=False, headers=headers) as connection:
            while time.monotonic() < ends:
                answers.append(connection.get(service.url + "/v1/galleries"))
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


def test_quotas_of_faces_and_galleries_are_the_tenants(service: Service) -> None:
    headers = create(service, "--tenant", "small", "--scope", "enrol", "--scope", "read")
    face_serve(service, "tenants", "quota", "small", "--galleries", "1")
    time.sleep(NOTICED_S / 2)
    assert build(service, headers, "one").status_code == 200
    refused = build(service, headers, "two")
    assert refused.status_code == 429
    assert "quota of galleries: 1 of 1" in refused.json()["errorMsg"]
    assert "retry-after" in refused.headers


def test_no_key_is_in_a_log(service: Service) -> None:
    headers = create(service, "--scope", "read")
    token = headers["Authorization"].split()[1]
    secret = token.split("_", 2)[2]
    service.get("/v1/galleries", {"Authorization": f"Bearer {token[:-1]}x"})
    for file in service.directory.rglob("*"):
        if file.is_file() and not file.is_symlink():
            assert secret.encode() not in file.read_bytes(), file.name
