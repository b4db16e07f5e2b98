from __future__ import annotations

import io
import json
from datetime import UTC, datetime

from serve_app.api.answered import Answered
from serve_app.api.request_log import RequestLog
from serve_app.api.watching import Watching
from tests.api.harness import INFER, Api, wire
from tests.fakes import RED, picture

NOW = datetime(2026, 11, 29, 11, 30, 0, 123456, UTC)
FIELDS = {
    "time", "logId", "method", "route", "status", "durationMs", "stagesMs", "error", "traceId"
}  # fmt: skip


def lines(stream: io.StringIO) -> list[dict[str, object]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_one_line_an_answer() -> None:
    stream = io.StringIO()
    log = RequestLog(stream, lambda: NOW)
    log(Answered("POST", INFER, 200, 0.01234, {"decode": 0.0021}, log_id="a", trace_id="t"))
    log(Answered("POST", INFER, 429, 0.0, {}, failure="overloaded", log_id="b"))
    first, second = lines(stream)
    assert first == {
        "time": "2026-11-29T11:30:00.123+00:00",
        "logId": "a",
        "method": "POST",
        "route": INFER,
        "status": 200,
        "durationMs": 12.3,
        "stagesMs": {"decode": 2.1},
        "traceId": "t",
    }
    assert (second["error"], second["status"], "traceId" in second) == ("overloaded", 429, False)


def test_a_log_id_can_not_break_a_line() -> None:
    stream = io.StringIO()
    log_id = 'x\u2028\x85"}\n{'
    RequestLog(stream)(Answered("GET", "/x", 200, 0, {}, log_id=log_id))
    assert stream.getvalue().isascii()
    (line,) = lines(stream)
    assert line["logId"] == log_id


async def test_no_line_holds_what_a_client_sent_but_its_log_id() -> None:
    stream = io.StringIO()
    api = Api(watching=Watching(observe=RequestLog(stream)))
    await api.build((picture(RED), "anna"), indexKey="house")
    body = {"image": wire(picture(RED)), "indexKey": "house", "logId": "mine"}
    await api.post(INFER, body, {"User-Agent": "anna's phone"})
    await api.send("DELETE", "/v1/galleries/house/labels/anna")
    found = lines(stream)
    assert len(found) == 3
    assert found[1]["logId"] == "mine"
    assert all(set(line) <= FIELDS for line in found)
    for word in ("anna", "house", wire(picture(RED))[:20]):
        assert word not in stream.getvalue()
