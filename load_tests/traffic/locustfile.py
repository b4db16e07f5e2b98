"""What Locust runs: one user that sends a plan's requests when they are due, and notes each.

Locust's own users wait for their answers, so a slow service slows them down and hides what others
would feel. This user keeps the clock and gives each request a greenlet of its own; a late answer
delays no other request, and a late start counts as the request's latency (docs/decisions/0023).

By hand: ``locust -f load_tests/traffic/locustfile.py --plan FILE --attempts FILE --headless``.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import gevent
from gevent.pool import Group
from locust import FastHttpUser, events, task
from locust.argument_parser import LocustArgumentParser
from locust.env import Environment

from load_tests.traffic.arrivals import Choice, Due, due_requests
from load_tests.traffic.attempts import NO_ANSWER, NOT_SENT, WRONG, Attempt, write
from load_tests.traffic.plan import NUMBER, Phase, Plan, Request

MOST_UNDER_WAY = 4000
"""More are noted as not sent: the client's sockets are bounded too."""
LEAD_S = 0.5
"""Between the user's start and the first request."""


@events.init_command_line_parser.add_listener  # type: ignore[untyped-decorator]
def add_options(parser: LocustArgumentParser) -> None:
    parser.add_argument("--plan", help="the plan to send, as load_tests.traffic.plan writes it")
    parser.add_argument("--attempts", help="where to write the record of every request")


class Traffic(FastHttpUser):
    fixed_count = 1
    concurrency = MOST_UNDER_WAY
    max_redirects = 0

    def __init__(self, environment: Environment) -> None:
        options = environment.parsed_options
        assert options is not None
        self._plan = Plan.read(Path(options.plan))
        self._record = Path(options.attempts)
        self.network_timeout = self.connection_timeout = self._plan.timeout_s
        super().__init__(environment)
        self._attempts: list[Attempt] = []
        self._sent: dict[str, int] = {}
        self._under_way = 0
        self._start = 0.0

    @task
    def send_all(self) -> None:
        used = time.process_time()
        self._start = time.perf_counter() + LEAD_S
        clients = Group()
        begins_s = 0.0
        for phase in self._plan.phases:
            for number in range(phase.clients or 0):
                clients.spawn(self._wait_for_answers, phase, begins_s, number)
            begins_s += phase.seconds
        sending = Group()
        for due in due_requests(self._plan):
            self._sleep_until(due.at_s)
            sending.spawn(self._send_due, due)
        self._sleep_until(self._plan.seconds)
        gevent.joinall([*clients, *sending], timeout=self._plan.timeout_s)
        used = time.process_time() - used
        write(self._record, self._attempts)
        self._record.with_suffix(".cpu").write_text(str(used), encoding="ascii")
        self.environment.runner.quit()

    def _send_due(self, due: Due) -> None:
        self._send(self._plan.phases[due.phase], due.request, due.at_s)

    def _wait_for_answers(self, phase: Phase, begins_s: float, number: int) -> None:
        """One client of a closed loop; refused, it comes back when it was told to."""
        choice = Choice(self._plan.requests, self._plan.seed + number)
        self._sleep_until(begins_s)
        while (now := self._now()) < begins_s + phase.seconds:
            refused_for_s = self._send(phase, choice.next(), now)
            left_s = begins_s + phase.seconds - self._now()
            gevent.sleep(max(0.0, min(refused_for_s, left_s)))

    def _send(self, phase: Phase, request: Request, due_s: float) -> float:
        """Returns for how many seconds the service asks to be left alone."""
        if self._under_way >= MOST_UNDER_WAY:
            self._note(Attempt(phase.name, request.name, due_s, due_s, due_s, NOT_SENT))
            return 0.0
        self._under_way += 1
        sent_s = self._now()
        try:
            with self.client.request(
                request.method,
                request.path,
                data=self._body(request),  # type: ignore[arg-type] # bytes are sent as they are
                headers=_headers(request),
                name=f"{phase.name} {request.name}",
                catch_response=True,
            ) as response:
                done_s = self._now()
                # What Locust's own statistics show.
                response.request_meta["response_time"] = 1e3 * (done_s - due_s)
                status = response.status_code or NO_ANSWER
                if status == 200 and request.expects.encode() not in (response.content or b""):
                    status = WRONG
                    response.failure("not the answer that was expected")
                headers: Any = response.headers or {}
                retry_after = headers.get("Retry-After", "")
                self._note(
                    Attempt(
                        phase.name,
                        request.name,
                        due_s,
                        sent_s,
                        done_s,
                        status,
                        len(response.content or b""),
                        bool(retry_after),
                        headers.get("Server-Timing", ""),
                    )
                )
                return float(retry_after) if retry_after.isdigit() else 0.0
        finally:
            self._under_way -= 1

    def _body(self, request: Request) -> bytes:
        number = self._sent[request.name] = self._sent.get(request.name, 0) + 1
        return request.body.replace(NUMBER, str(number).encode())

    def _note(self, attempt: Attempt) -> None:
        self._attempts.append(attempt)

    def _now(self) -> float:
        return time.perf_counter() - self._start

    def _sleep_until(self, at_s: float) -> None:
        gevent.sleep(max(0.0, at_s - self._now()))


def _headers(request: Request) -> dict[str, str]:
    headers = {"Content-Type": request.content_type}
    if request.api_key:
        headers["Authorization"] = f"Bearer {request.api_key}"
    return headers
