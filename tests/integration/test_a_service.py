"""What a newcomer sees: it starts, answers, listens where it should, documents itself."""

from __future__ import annotations

import asyncio
import base64
import re
from pathlib import Path

import cv2
import httpx
import msgpack
import numpy as np
import psutil
import pytest

from tests.conformance.replay import RELEASES, Reply, judge, replay
from tests.integration.service import Service
from tests.integration.tutorial import MISSING, SHARED, run_tutorial_client


def portrait(*, turned: bool = False) -> bytes:
    data = pytest.importorskip("skimage.data", reason="the portrait comes with scikit-image")
    image = cv2.cvtColor(data.astronaut(), cv2.COLOR_RGB2BGR)
    if turned:
        image = cv2.resize(image[:, ::-1], None, fx=0.6, fy=0.6)
    return bytes(cv2.imencode(".jpg", image)[1].tobytes())


def test_tells_that_it_is_ready_in_one_line(service: Service) -> None:
    lines = service.log.read_text(encoding="utf-8").splitlines()
    assert len(lines) == 1, lines
    assert lines[0].startswith(f"face-serve is ready at {service.url}")
    assert service.seconds_to_ready < 60


def test_every_form_of_a_body_is_answered_alike(service: Service) -> None:
    photo, infer = portrait(), f"{service.url}/face-recognition-infer"
    pixels = cv2.imdecode(np.frombuffer(photo, np.uint8), cv2.IMREAD_COLOR)
    array = {"shape": pixels.shape, "dtype": "uint8", "order": "BGR", "data": pixels.tobytes()}
    image = ("portrait.jpg", photo, "image/jpeg")
    built = httpx.post(
        f"{service.url}/face-recognition-index-build",
        files={"image": image},
        data={"label": "Eileen Collins", "indexKey": "forms"},
        timeout=30,
    )
    assert built.json()["result"]["idMap"] == {"0": "Eileen Collins"}
    encoded = base64.b64encode(photo).decode()
    fields: dict[str, str | bool] = {"indexKey": "forms", "visualize": False}
    expected = httpx.post(infer, json={"image": encoded, **fields}, timeout=30).json()["result"]
    assert expected["faces"][0]["recResults"][0]["label"] == "Eileen Collins"
    msgpacked = {"Content-Type": "application/msgpack", "Accept": "application/msgpack"}
    replies = [
        httpx.post(infer, params=fields, content=photo, headers={"Content-Type": "image/jpeg"}),
        httpx.post(infer, files={"image": image}, data={k: str(v) for k, v in fields.items()}),
        httpx.post(infer, content=msgpack.packb({"image": photo, **fields}), headers=msgpacked),
        httpx.post(infer, content=msgpack.packb({"image": array, **fields}), headers=msgpacked),
    ]
    for reply in replies[:2]:
        assert reply.json()["result"] == expected
    for reply in replies[2:]:
        assert msgpack.unpackb(reply.content)["result"] == expected
    batch = {"images": [encoded, "!", encoded], "indexKey": "forms"}
    reply = httpx.post(f"{service.url}/v1/infer:batch", json=batch, timeout=30)
    first, failed, last = reply.json()["result"]["results"]
    assert first == last == expected
    assert failed["error"]["errorCode"] == 422


def test_tutorial_flow_on_a_real_photograph(service: Service) -> None:
    image = base64.b64encode(portrait()).decode()
    pairs = [{"image": image, "label": "Eileen Collins"}, {"image": image, "label": "again"}]
    built = service.post("/face-recognition-index-build", {"imageLabelPairs": pairs}).json()
    key = built["result"]["indexKey"]
    assert built["result"]["idMap"] == {"0": "Eileen Collins", "1": "again"}
    pair = [{"image": image, "label": "third"}]
    added = service.post(
        "/face-recognition-index-add", {"imageLabelPairs": pair, "indexKey": key}
    ).json()
    assert added["result"]["imageCount"] == 3
    removed = service.post("/face-recognition-index-remove", {"ids": [1, 2], "indexKey": key})
    assert removed.json()["result"]["idMap"] == {"0": "Eileen Collins"}
    probe = base64.b64encode(portrait(turned=True)).decode()
    reply = service.post("/face-recognition-infer", {"image": probe, "indexKey": key}).json()
    (face,) = reply["result"]["faces"]
    assert face["recResults"][0]["label"] == "Eileen Collins"
    assert face["recResults"][0]["score"] > 0.7
    drawn = cv2.imdecode(np.frombuffer(base64.b64decode(reply["result"]["image"]), np.uint8), 1)
    assert drawn is not None


@pytest.mark.parametrize("metric", ["IP", "L2"])
@pytest.mark.parametrize("index_type", ["Flat", "IVF", "HNSW32"])
def test_every_index_type_and_metric(service: Service, index_type: str, metric: str) -> None:
    image, key = base64.b64encode(portrait()).decode(), f"{index_type}-{metric}"
    body = {"imageLabelPairs": [{"image": image, "label": "a"}], "indexKey": key}
    types = {"indexType": index_type, "metricType": metric}
    built = service.post("/face-recognition-index-build", body | types)
    assert built.json()["result"]["indexKey"] == key
    assert service.post("/face-recognition-index-build", body).status_code == 409
    probe = base64.b64encode(portrait(turned=True)).decode()
    question = {"image": probe, "indexKey": key, "visualize": False}

    def scores(**more: float) -> list[float]:
        reply = service.post("/face-recognition-infer", question | more).json()
        (face,) = reply["result"]["faces"]
        return [result["score"] for result in face["recResults"]]

    (score,) = scores()  # passes the configured 0.4, in L2's terms 1.2
    cosine = score if metric == "IP" else 1 - score / 2
    assert 0.7 < cosine < 1
    nearer, farther = (0.01, -0.01) if metric == "IP" else (-0.01, 0.01)
    assert scores(recThreshold=score + nearer) == []
    assert scores(recThreshold=score + farther) == [score]
    service.post("/face-recognition-index-remove", {"ids": [0], "indexKey": key})
    assert scores() == []


@pytest.mark.skipif(not SHARED.exists(), reason=MISSING)
def test_tutorial_client_unchanged(service: Service, tmp_path: Path) -> None:
    """Must hold 1."""
    output = run_tutorial_client(service.url, tmp_path)
    assert "Number of images indexed: 3\nNumber of images indexed: 4" in output
    assert (tmp_path / "out.jpg").stat().st_size > 10_000
    assert "'recResults'" in output


def test_recorded_replies_over_ray(service: Service, capsys: pytest.CaptureFixture[str]) -> None:
    """Must hold 2, through the proxy and all four deployments."""

    async def run() -> dict[str, Reply]:
        async with httpx.AsyncClient(trust_env=False, timeout=60) as client:

            async def send(
                method: str, path: str, body: bytes | None, headers: dict[str, str]
            ) -> Reply:
                url = f"{service.url}/paddlex{path}"
                reply = await client.request(method, url, content=body, headers=headers)
                return Reply(reply.status_code, reply.json())

            return await replay(send)

    replies = asyncio.run(run())
    for release in RELEASES:
        outcome = judge(release, replies)
        with capsys.disabled():
            print(
                f"\ngoldens {release} over Ray: {len(outcome.passed)} pass, "
                f"{len(outcome.explained)} differ for a reason"
            )
        assert not outcome.unexplained
        assert not outcome.stale


def test_documents_itself(service: Service) -> None:
    schema = httpx.get(f"{service.url}/openapi.json").json()
    assert "/face-recognition-infer" in schema["paths"]
    page = httpx.get(f"{service.url}/docs").text
    assert "swagger" in page.lower()
    assert not re.findall(r'(?:src|href)="https?://', page), "the page needs a foreign host"


def test_listens_on_loopback_only(service: Service) -> None:
    """All but the gRPC port of each replica, which Ray always binds to every address (README)."""
    loopback, open_to_all = set(), []
    for process in service.processes():
        with_name = (process.pid, " ".join(process.cmdline())[:60])
        for connection in process.net_connections("tcp"):
            if connection.status != psutil.CONN_LISTEN:
                continue
            if connection.laddr.ip in ("127.0.0.1", "::1", "::ffff:127.0.0.1"):
                loopback.add(connection.laddr.port)
            else:
                open_to_all.append(with_name)
    assert {service.ports["http"], service.ports["metrics"], service.ports["stats"]} <= loopback
    assert all("ServeReplica:" in name for _, name in open_to_all), open_to_all
    assert len({pid for pid, _ in open_to_all}) == len(open_to_all), "one port a replica, no more"


def test_ray_asks_for_its_token(service: Service) -> None:
    """The dashboard takes jobs, which are code: not without the token."""
    token = service.directory / "data" / "ray" / "auth_token"
    assert token.stat().st_mode & 0o077 == 0
    dashboards = [
        p for p in service.processes() if "dashboard/dashboard.py" in " ".join(p.cmdline())
    ]
    ports = {
        connection.laddr.port
        for process in dashboards
        for connection in process.net_connections("tcp")
        if connection.status == psutil.CONN_LISTEN
    }
    refused = 0
    for port in ports:
        try:
            reply = httpx.get(f"http://127.0.0.1:{port}/api/serve/applications/", timeout=5)
        except httpx.HTTPError:
            continue  # not an HTTP port
        if reply.status_code == 200:  # the exporter of metrics answers any path with them
            assert reply.headers["content-type"].startswith("text/plain")
            continue
        refused += reply.status_code in (401, 403)
    assert refused == 1
