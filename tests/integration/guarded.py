"""A service that asks for keys and encrypts what it keeps, of two Ingress and two Index replicas,
and what operators do beside it. It writes all it can: metrics, traces of everything, a line a
request."""

from __future__ import annotations

import base64
import secrets
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import httpx

from tests.integration.pictures import gallery_image
from tests.integration.service import Service, small_cluster

NOTICED_S = 5.0
INGRESSES = 2


def master_key(directory: Path) -> Path:
    """The file of one, made where there is none."""
    file = directory / "master.key"
    if not file.exists():
        file.write_text(base64.b64encode(secrets.token_bytes(32)).decode(), encoding="ascii")
        file.chmod(0o600)
    return file


def content(data_dir: Path) -> dict[str, Any]:
    made = small_cluster(data_dir)
    (face,) = made["applications"]
    face["args"] |= {
        "access": {"keys": True},
        "encryption": {"keys": [f"file:{master_key(data_dir.parent)}"]},
        "jobs": {"inputs": [str(data_dir.parent / "inputs")]},
        "observability": {
            "metrics": {"interval_s": 1},
            "request_log": True,
            "tracing": {"exporter": "file", "path": str(data_dir / "traces"), "sample_ratio": 1},
        },
    }
    (ingress,) = [one for one in face["deployments"] if one["name"] == "Ingress"]
    ingress["num_replicas"] = INGRESSES
    return made


def face_serve(service: Service, *words: str) -> str:
    """What a command prints on standard output."""
    return subprocess.run(
        [
            Path(sys.executable).parent / "face-serve",
            *words,
            *("--config", service.directory / "serve.yaml"),
        ],
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
