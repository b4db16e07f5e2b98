from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from typing import Any

import pytest
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from serve_app.api.answered import Answered
from serve_app.api.gate import COSTLY, Gate, server_timing, timeout_of
from serve_app.api.hosts import Hosts
from serve_app.api.probes import PROBES
from serve_app.batching import Admission, Forecast
from serve_app.config import AdmissionSettings, Limits
from serve_app.errors import InvalidRequestError
from serve_app.request_context import STAGES, RequestContext, Spans, current_request
from tests.api.harness import INFER, REMOVE, Api, failure, result, wire
from tests.api.test_body import Client
from tests.fakes import RED, picture


@dataclass
class Stage:
    """A stage whose queue is as long as the test says."""

    wait_s: float = 0.0
    asked: list[int | None] = field(default_factory=list)

    def forecast(self, cost: int | None = None) -> Forecast:
        self.asked.append(cost)
        return Forecast(self.wait_s, 0.01, is_backlog=True)


async def answer(scope: Scope, receive: Receive, send: Send) -> None:
    while (await receive()).get("more_body"):
        pass
    await Response("done")(scope, receive, send)


class Door:
    """A gate before ``app``, and what it observes."""

    def __init__(
        self, app: ASGIApp = answer, *, hosts: Hosts | None = None, **settings: Any
    ) -> None:
        self.stage, self.admission = Stage(), Admission()
        self.admission.configure(AdmissionSettings(**settings))
        self.admission.watch(self.stage, lambda size: size)
        self.observed: list[Answered] = []
        self.gate = Gate(
            app,
            self.admission,
            Limits(request_timeout_s=30, image_bytes=1000),
            self.observed.append,
            hosts=hosts,
        )

    async def ask(
        self,
        path: str,
        *,
        timeout: str | None = None,
        client: Client | None = None,
        root: str = "",
    ) -> Client:
        client = client or Client([b"x"], declared=1)
        headers = list(client.headers)
        if timeout is not None:
            headers.append((b"request-timeout", timeout.encode()))
        scope = {"type": "http", "method": "POST", "path": root + path, "headers": headers}
        scope |= {"root_path": root} if root else {}
        await asyncio.wait_for(self.gate(scope, client.receive, client.send), 30)
        return client


def header(client: Client, name: bytes) -> bytes | None:
    return dict(client.sent[0]["headers"]).get(name)


# --- who is let in ---


@pytest.mark.parametrize("prefix", ["", "/paddlex"])
async def test_what_needs_the_networks_is_turned_away_unread_while_they_are_behind(
    prefix: str,
) -> None:
    reached: list[str] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        reached.append(scope["path"])
        await answer(scope, receive, send)

    door = Door(app)
    door.stage.wait_s = 2.5
    for path in COSTLY:
        client = await door.ask(path, root=prefix)
        assert client.status == 429
        assert header(client, b"retry-after") == b"3"
        assert "try again in 3 s" in client.message
    for path in ("/health", REMOVE, "/v1/galleries", "/docs"):
        assert (await door.ask(path, root=prefix)).status == 200
    assert not set(reached) & {prefix + path for path in COSTLY}
    assert [answered.status for answered in door.observed] == [429] * len(COSTLY) + [200] * 4
    door.stage.wait_s = 0
    await asyncio.sleep(0)
    assert (await door.ask(INFER, root=prefix)).status == 200


@pytest.mark.parametrize(("declared", "image_bytes"), [(100, 75), (1_000_000, 1000)])
async def test_the_wait_is_that_of_an_image_of_the_bodys_size(
    declared: int, image_bytes: int
) -> None:
    """Base64 takes a third more; a larger body than an image may be has many."""
    door = Door()
    await door.ask(INFER, client=Client([b"x"], declared=declared))
    assert door.stage.asked == [image_bytes]


async def test_requests_at_once_are_bounded_but_for_health() -> None:
    gates = [asyncio.Event() for _ in range(2)]
    waiting = iter(gates)

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] not in {"/health", "/paddlex/health"}:
            await next(waiting).wait()
        await answer(scope, receive, send)

    door = Door(app, max_in_flight=2)
    held = [asyncio.create_task(door.ask("/v1/galleries")) for _ in range(2)]
    await asyncio.sleep(0.01)
    refused = await door.ask("/v1/galleries")
    assert refused.status == 429
    assert header(refused, b"retry-after") == b"1"
    assert (await door.ask("/health")).status == 200
    # What is called like a probe is none.
    assert (await door.ask("/v1/galleries/health")).status == 429
    assert (await door.ask("/health", root="/paddlex")).status == 200
    for gate in gates:
        gate.set()
    assert [client.status for client in await asyncio.gather(*held)] == [200, 200]
    waiting = iter(gates)
    assert (await door.ask("/v1/galleries")).status == 200


async def test_one_that_failed_is_under_way_no_more() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        raise ValueError

    door = Door(app, max_in_flight=1)
    for _ in range(3):
        with pytest.raises(ValueError):
            await door.ask("/v1/galleries")


# --- deadlines ---


@pytest.mark.parametrize(
    ("asked", "seconds"),
    [([], 30), (["2.5"], 2.5), (["0.001"], 0.001), (["100"], 30), (["7", "5"], 5), (["09"], 9)],
)
def test_the_deadline_is_the_clients_but_not_over_the_limit(
    asked: list[str], seconds: float
) -> None:
    headers = [(b"request-timeout", value.encode()) for value in asked]
    assert timeout_of({"headers": headers}, 30) == seconds


@pytest.mark.parametrize(
    "value", ["", "0", "0.0", "-1", "1e3", "inf", "nan", "1_0", "5s", "1" * 10, "²", " 1"]
)
async def test_another_deadline_is_invalid(value: str) -> None:
    headers = [(b"request-timeout", value.encode())]
    with pytest.raises(InvalidRequestError, match=r"header\.Request-Timeout"):
        timeout_of({"headers": headers}, 30)
    assert (await Door().ask("/v1/galleries", timeout=value)).status == 422


@pytest.mark.parametrize("probe", PROBES)
@pytest.mark.parametrize("root", ["", "/paddlex"])
async def test_a_probe_is_let_in_whatever_its_headers_say(probe: str, root: str) -> None:
    """Who watches must not take a header that some proxy adds for a service that is down."""
    assert (await Door().ask(probe, timeout="soon", root=root)).status == 200


async def test_a_name_that_is_not_ours_is_refused_unread_and_told_of() -> None:
    reached: list[str] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        reached.append(scope["path"])
        await answer(scope, receive, send)

    door = Door(app, hosts=Hosts())
    for path in (INFER, "/v1/galleries", "/docs", "/openapi.json"):
        client = Client([b"x"], declared=1)
        client.headers.append((b"host", b"evil.example"))
        assert (await door.ask(path, client=client)).status == 421
        assert "args.hosts" in client.message
    assert reached == []
    assert [(answered.status, answered.failure) for answered in door.observed] == [
        (421, "misdirected")
    ] * 4


@pytest.mark.parametrize("root", ["", "/paddlex"])
@pytest.mark.parametrize("probe", PROBES)
async def test_probes_call_by_any_name(probe: str, root: str) -> None:
    """A kubelet calls by the pod's address, which nobody can list."""
    client = Client([b"x"], declared=1)
    client.headers.append((b"host", b"10.244.1.7:8000"))
    assert (await Door(hosts=Hosts()).ask(probe, client=client, root=root)).status == 200


async def test_everything_inside_has_the_requests_deadline() -> None:
    seen: list[RequestContext] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(await asyncio.create_task(context()))
        await answer(scope, receive, send)

    async def context() -> RequestContext:
        return current_request()

    door = Door(app)
    await door.ask(INFER, timeout="7")
    await door.ask(INFER)
    now = time.monotonic()
    assert 0 < seen[0].remaining_s(now) <= 7 < seen[1].remaining_s(now) <= 30
    assert [one.timeout_s for one in seen] == [7, 30]
    assert not seen[0].admitted


async def test_the_callers_own_deadline_answers_504() -> None:
    api = Api()
    result(await api.build((picture(RED), "red"), indexKey="g"))
    api.detector.gate = asyncio.Event()
    body = {"image": wire(picture(RED)), "indexKey": "g", "visualize": False}
    message = failure(await api.post(INFER, body, {"Request-Timeout": "0.05"}), 504)
    assert message.startswith("not done within 0.05 s")
    assert api.detector.cancelled == 1
    api.detector.gate = None
    result(await api.post(INFER, body, {"Request-Timeout": "50"}))


# --- where the time went ---


def test_the_header_has_the_stages_in_their_order() -> None:
    seconds = {stage: 0.001 * number for number, stage in enumerate(reversed(STAGES), 1)}
    assert server_timing(Spans(seconds)) == (
        "queue;dur=6.0, decode;dur=5.0, detect;dur=4.0, extract;dur=3.0, search;dur=2.0, "
        "draw;dur=1.0"
    )
    assert server_timing(Spans({"search": 0.01234, "queue": 0})) == "queue;dur=0.0, search;dur=12.3"


@pytest.mark.parametrize("status", [200, 404, 504])
async def test_answers_that_reached_a_stage_say_where_time_went(status: int) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        current_request().spans.add("detect", 0.0123)
        await Response("done", status_code=status, headers={"x-own": "1"})(scope, receive, send)

    door = Door(app)
    client = await door.ask(INFER)
    assert header(client, b"server-timing") == b"detect;dur=12.3"
    assert header(client, b"x-own") == b"1"
    (answered,) = door.observed
    assert (answered.status, answered.stages) == (status, {"detect": 0.0123})


async def test_others_do_not() -> None:
    door = Door()
    assert header(await door.ask("/health"), b"server-timing") is None
    door.stage.wait_s = 9
    assert header(await door.ask(INFER), b"server-timing") is None
    assert [(one.status, dict(one.stages)) for one in door.observed] == [(200, {}), (429, {})]


async def test_drawing_is_timed() -> None:
    api = Api()
    result(await api.build((picture(RED), "red"), indexKey="g"))
    body = {"image": wire(picture(RED)), "indexKey": "g"}
    drawn = await api.post(INFER, {**body, "visualize": True})
    assert drawn.headers["server-timing"].split(";")[0] == "queue"
    assert "draw;dur=" in drawn.headers["server-timing"]
    assert "server-timing" not in (await api.post(INFER, {**body, "visualize": False})).headers


async def test_other_protocols_pass_by() -> None:
    seen: list[str] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(scope["type"])

    client = Client([])
    await Door(app).gate({"type": "lifespan"}, client.receive, client.send)
    assert seen == ["lifespan"]
