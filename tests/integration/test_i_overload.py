"""Through the real proxy and replicas: deadlines, clients that go away, overload, where time goes.

What is not done is measured in the processors' time of the replica that would have done it, which
does not depend on what else the machine does.
"""

from __future__ import annotations

import base64
import io
import itertools
import json
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
from PIL import Image

from serve_app.request_context import STAGES
from tests.integration.exporter import exported
from tests.integration.pictures import gallery_image, scene
from tests.integration.service import Service

INFER = "/face-recognition-infer"
STAND_INS = "/paddlex"

keys = itertools.count()


@pytest.fixture(scope="module")
def gallery(service: Service) -> str:
    """Of the stand-ins."""
    key = f"overload-{next(keys)}"
    pairs = [{"image": gallery_image(1), "label": "somebody"}]
    body = {"imageLabelPairs": pairs, "indexKey": key}
    assert service.post(STAND_INS + "/face-recognition-index-build", body).status_code == 200
    return key


@pytest.fixture(scope="module")
def slow(gallery: str) -> dict[str, object]:
    """A request that keeps the stand-ins' detector busy for most of a second."""
    return {"image": scene(1, cells=20), "indexKey": gallery, "visualize": False}


def timing(reply: httpx.Response) -> dict[str, float]:
    """Milliseconds by stage."""
    header = reply.headers.get("server-timing", "")
    found: list[tuple[str, str]] = re.findall(r"(\w+);dur=([\d.]+)", header)
    return {stage: float(value) for stage, value in found}


# --- where time goes ---


def test_answers_say_where_their_time_went(service: Service, gallery: str) -> None:
    body = {"image": scene(1), "indexKey": gallery}
    drawn = service.post(STAND_INS + INFER, body)
    assert drawn.status_code == 200
    assert list(timing(drawn)) == list(STAGES)
    assert all(timing(drawn)[stage] > 0 for stage in ("decode", "detect", "extract", "search"))
    assert sum(timing(drawn).values()) <= drawn.elapsed.total_seconds() * 1000 + 1
    plain = service.post(STAND_INS + INFER, {**body, "visualize": False})
    assert list(timing(plain)) == [stage for stage in STAGES if stage != "draw"]


def test_failures_say_it_too_if_a_stage_was_reached(service: Service, gallery: str) -> None:
    broken = {"image": base64.b64encode(b"no image").decode(), "indexKey": gallery}
    refused = service.post(STAND_INS + INFER, broken)
    assert refused.status_code == 422
    assert set(timing(refused)) == {"queue", "decode"}
    unread = service.post(STAND_INS + INFER, {"image": "!"})
    assert unread.status_code == 422
    assert timing(unread) == timing(service.get("/health")) == {}


# --- work that nobody waits for ---


class Detector:
    """Processor seconds of the stand-ins' detector."""

    def __init__(self, service: Service) -> None:
        (self._process,) = service.replicas("Detector", "paddlex")
        self._start = self._now()

    def _now(self) -> float:
        times = self._process.cpu_times()
        return times.user + times.system

    @property
    def seconds(self) -> float:
        """Since this was made."""
        return self._now() - self._start


@pytest.fixture(scope="module")
def one(service: Service, slow: dict[str, object]) -> float:
    """Processor seconds that a slow request costs its detector."""
    assert service.post(STAND_INS + INFER, slow).status_code == 200  # warm
    detector = Detector(service)
    for _ in range(2):
        assert service.post(STAND_INS + INFER, slow).status_code == 200
    return detector.seconds / 2


def drained(service: Service, gallery: str) -> None:
    """Waits for whatever the detector has to do: a request that may be overtaken by nothing."""
    body = {"image": scene(1, cells=20), "indexKey": gallery, "visualize": False}
    assert service.post(STAND_INS + INFER, body).status_code == 200


@pytest.mark.timeout(180)
def test_what_passes_its_deadline_in_the_queue_is_answered_then_and_never_begun(
    service: Service, gallery: str, slow: dict[str, object], one: float
) -> None:
    detector = Detector(service)

    def ask(headers: dict[str, str]) -> httpx.Response:
        return service.post(STAND_INS + INFER, slow, headers)

    with ThreadPoolExecutor(11) as threads:
        patient = [threads.submit(ask, {}) for _ in range(3)]
        time.sleep(0.1 * one)  # the first has begun, or is about to
        hasty = [threads.submit(ask, {"Request-Timeout": f"{0.5 * one:.3f}"}) for _ in range(8)]
        late = [future.result() for future in hasty]
        in_time = [future.result() for future in patient]
    drained(service, gallery)
    assert [reply.status_code for reply in in_time] == [200] * 3
    assert [reply.status_code for reply in late] == [504] * 8
    assert all(reply.json()["errorCode"] == 504 for reply in late)
    # Theirs would have come after all others' work.
    last = max(reply.elapsed for reply in in_time)
    assert all(reply.elapsed < last for reply in late)
    assert detector.seconds < (3 + 1 + 8 / 2) * one


@pytest.mark.timeout(180)
def test_a_client_that_goes_away_costs_nothing_more(
    service: Service, gallery: str, slow: dict[str, object], one: float
) -> None:
    detector = Detector(service)
    content = json.dumps(slow).encode()
    head = f"POST {STAND_INS}{INFER} HTTP/1.1\r\nHost: here\r\nContent-Type: application/json\r\n"
    request = f"{head}Content-Length: {len(content)}\r\n\r\n".encode() + content
    clients = []
    for _ in range(10):
        client = socket.create_connection(("127.0.0.1", service.ports["http"]))
        client.sendall(request)
        clients.append(client)
    while detector.seconds < 0.5 * one:  # the first has begun
        time.sleep(0.01)
    for client in clients:
        client.close()
    drained(service, gallery)
    assert detector.seconds < 6 * one  # of eleven


@pytest.mark.timeout(180)
def test_one_of_many_images_of_a_request_costs_nothing_more_either(
    service: Service, slow: dict[str, object], gallery: str
) -> None:
    """A list is embedded image by image: the rest of it ends with its client."""
    detector = Detector(service)
    pairs = [{"image": slow["image"], "label": "somebody"}] * 200
    body = {"imageLabelPairs": pairs, "indexKey": f"overload-{next(keys)}"}
    path = STAND_INS + "/face-recognition-index-build"
    whole = service.post(path, {**body, "imageLabelPairs": pairs[:12]})
    assert whole.status_code == 200
    twelve = detector.seconds
    reply = service.post(path, {**body, "indexKey": f"{body['indexKey']}-late"}, TWO_SECONDS)
    assert reply.status_code == 504
    before = detector.seconds
    drained(service, gallery)
    assert detector.seconds - before < 2 * twelve + 1  # the last that it had begun, and drained's
    entry = service.get(f"{STAND_INS}/v1/galleries/{body['indexKey']}-late")
    assert entry.status_code == 404


TWO_SECONDS = {"Request-Timeout": "2"}


@pytest.mark.parametrize("value", ["0", "soon", "-1", "1e9"])
def test_a_deadline_that_is_none_is_refused(service: Service, gallery: str, value: str) -> None:
    body = {"image": scene(1), "indexKey": gallery, "visualize": False}
    reply = service.post(STAND_INS + INFER, body, {"Request-Timeout": value})
    assert reply.status_code == 422
    assert "Request-Timeout" in reply.json()["errorMsg"]


# --- more than it can do ---


def photograph() -> str:
    """Base64 of a photograph of 12 megapixels."""
    file = io.BytesIO()
    Image.effect_noise((400, 300), 60).resize((4000, 3000)).convert("RGB").save(file, "JPEG")
    return base64.b64encode(file.getvalue()).decode("ascii")


@pytest.fixture
def flood(service: Service) -> Iterator[Callable[[], list[httpx.Response]]]:
    """Many times what the service can do, as it comes configured; the answers until now."""
    pair = {"image": photograph(), "label": "nobody"}
    key = f"flood-{next(keys)}"
    made = {"imageLabelPairs": [pair], "indexKey": key, "onError": "skip"}
    service.post("/face-recognition-index-build", made)  # no face in it: no gallery either
    body = {"image": pair["image"], "indexKey": key, "visualize": False}
    replies: list[httpx.Response] = []
    over = threading.Event()

    def client() -> None:
        with httpx.Client(trust_env=False, timeout=120) as session:
            while not over.is_set():
                replies.append(session.post(service.url + INFER, json=body))
                over.wait(0.05)

    with ThreadPoolExecutor(48) as threads:
        for _ in range(48):
            threads.submit(client)
        yield lambda: list(replies)
        over.set()


@pytest.mark.timeout(240)
def test_what_is_too_much_is_refused_with_429_and_the_rest_of_the_service_goes_on(
    service: Service, flood: Callable[[], list[httpx.Response]]
) -> None:
    started = time.monotonic()
    while sum(reply.status_code == 429 for reply in flood()) < 50:
        assert time.monotonic() - started < 120, "nothing was refused"
        time.sleep(0.1)
    assert service.get("/health").json()["errorMsg"] == "Healthy"
    assert service.get("/v1/galleries").status_code == 200
    removal = {"ids": [0], "indexKey": "nobody-has-this"}
    assert service.post("/face-recognition-index-remove", removal).status_code == 404
    replies = flood()
    assert {reply.status_code for reply in replies} <= {404, 429}  # of a gallery that is not there
    assert any(reply.status_code == 404 for reply in replies)
    refused = [reply for reply in replies if reply.status_code == 429]
    for reply in refused:
        assert reply.json()["errorCode"] == 429
        assert 1 <= int(reply.headers["retry-after"]) <= 60
        assert timing(reply) == {}
    served = [reply.elapsed.total_seconds() for reply in replies if reply.status_code == 404]
    waits = sorted(reply.elapsed.total_seconds() for reply in refused)
    assert waits[len(waits) // 2] < sorted(served)[len(served) // 2]


@pytest.mark.timeout(120)
def test_after_a_flood_all_is_as_before(service: Service) -> None:
    body = {"image": photograph(), "indexKey": "nobody-has-this", "visualize": False}
    started = time.monotonic()
    while (status := service.post(INFER, body).status_code) == 429:
        assert time.monotonic() - started < 60
        time.sleep(0.5)
    assert status == 404
    assert [service.post(INFER, body).status_code for _ in range(5)] == [404] * 5


# --- metrics ---


@pytest.mark.timeout(180)
def test_batches_queues_and_stages_are_measured(service: Service, gallery: str) -> None:
    body = {"image": scene(1), "indexKey": gallery}
    assert service.post(STAND_INS + INFER, body).status_code == 200
    late = service.post(STAND_INS + INFER, body, {"Request-Timeout": "0.000001"})
    assert late.status_code == 504
    queues = {(stage, end) for stage in STAGES_AT_REPLICAS for end in ("ingress", "replica")}
    wanted = {
        "batch_items_count": queues,
        "batch_cost_count": queues,
        "queue_seconds_count": queues,
        "stage_latency_seconds_count": {(stage, "") for stage in STAGES},
        "requests_total": {("200", ""), ("504", "")},
    }
    started = time.monotonic()
    while True:  # exported every ten seconds
        text = exported(service)
        if all(series(text, name) >= found for name, found in wanted.items()):
            break
        assert time.monotonic() - started < 120, {name: series(text, name) for name in wanted}
        time.sleep(2)


STAGES_AT_REPLICAS = ("detector", "extractor", "index")


def series(text: str, name: str) -> set[tuple[str, str]]:
    """What a metric of ours was told of: stage and end, or status."""
    labels = re.findall(rf"^ray_face_serve_{name}\{{(.*)\}} ", text, re.M)
    pairs = [dict(re.findall(r'(\w+)="([^"]*)"', line)) for line in labels]
    return {(pair.get("stage") or pair["status"], pair.get("end", "")) for pair in pairs}
