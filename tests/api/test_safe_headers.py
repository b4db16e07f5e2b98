from __future__ import annotations

import httpx
import pytest

from serve_app.api.edge import Edge
from serve_app.api.hosts import Hosts
from serve_app.api.safe_headers import CSP, SAFE_HEADERS, made_safe
from serve_app.config import Limits
from tests.api.harness import INFER, Api
from tests.fakes import RED, picture

BODY = {"image": "AAAA"}
ASKED = [
    ("GET", "/health", {}, 200),
    ("HEAD", "/health", {}, 200),
    ("GET", "/ready", {}, 200),
    ("GET", "/openapi.json", {}, 200),
    ("GET", "/docs", {}, 200),
    ("GET", "/static-offline-docs/swagger-ui.css", {}, 200),
    ("GET", "/v1/galleries", {}, 200),
    ("GET", "/nowhere", {}, 404),
    ("PUT", "/v1/galleries", {}, 405),
    ("POST", INFER, {"json": {}}, 422),
    ("POST", INFER, {"content": b"x" * 2000}, 413),
    ("POST", INFER, {"json": BODY, "headers": {"Content-Encoding": "gzip"}}, 415),
    ("POST", INFER, {"json": BODY, "headers": {"Host": "evil.example"}}, 421),
    ("GET", "/docs", {"headers": {"Host": "evil.example"}}, 421),
    ("POST", INFER, {"json": BODY, "headers": {"Request-Timeout": "soon"}}, 422),
]


@pytest.mark.parametrize(("method", "path", "extra", "status"), ASKED)
async def test_every_answer_has_them_once(
    method: str, path: str, extra: dict[str, object], status: int
) -> None:
    api = Api(limits=Limits(body_bytes=1000), edge=Edge(Hosts(["service"])))
    answer = await api.send(method, path, **extra)
    assert answer.status_code == status
    given = answer.headers.multi_items()
    for name, value in SAFE_HEADERS:
        values = [each for key, each in given if key == name.decode()]
        if name != CSP or path != "/docs" or status != 200:
            assert values == [value.decode()]
    assert is_framed_by_nobody(answer)


def is_framed_by_nobody(answer: httpx.Response) -> bool:
    return "frame-ancestors 'none'" in answer.headers["content-security-policy"]


async def test_an_unforeseen_failure_has_them_too() -> None:
    api = Api()
    api.detector.failure = RuntimeError("nobody foresaw it")
    answer = await api.build((picture(RED), "a"))
    assert answer.status_code == 500
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_the_rest_of_an_answer_stays() -> None:
    start = {"type": "http.response.start", "status": 200, "headers": [(b"etag", b"1")]}
    safe = made_safe(start)
    assert (safe["status"], safe["headers"][0]) == (200, (b"etag", b"1"))
    assert start["headers"] == [(b"etag", b"1")], "it is not ours to change"
    assert made_safe({"type": "http.response.start", "status": 204})["headers"] == [*SAFE_HEADERS]
