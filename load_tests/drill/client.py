"""A client as they should be: it names its changes, gives each request a time, and retries once.

One attempt, a pause (``Retry-After``), and one more on another address: a reply of 429 or 5xx, a
broken connection and no answer in time are tried again, for reads and for changes alike, as an
Idempotency-Key makes a change safe to repeat. Every attempt goes into the journal.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import httpx

from load_tests.drill.addresses import Addresses
from load_tests.drill.journal import Attempt, Journal
from load_tests.traffic.attempts import NO_ANSWER, WRONG

PAUSE_S = 1.0
MOST_S = 30.0
"""Before the retry: what Retry-After says, within these."""
ATTEMPT_S = 10.0
REQUEST_S = 9.0
"""Said to the service: after that it does nothing more for this attempt."""
AGAIN = frozenset({NO_ANSWER, WRONG, 408, 429, 500, 502, 503, 504})


@dataclass(frozen=True, slots=True)
class Answer:
    """``result`` is None where both attempts failed. ``begun_s``, ``ended_s``: first and last."""

    result: Mapping[str, Any] | None
    begun_s: float
    ended_s: float


class Client:
    """``ask`` from one event loop."""

    def __init__(self, addresses: Addresses, journal: Journal) -> None:
        self._addresses = addresses
        self._journal = journal
        self._http = httpx.AsyncClient(
            timeout=ATTEMPT_S,
            trust_env=False,
            limits=httpx.Limits(max_connections=200, max_keepalive_connections=20),
        )

    async def close(self) -> None:
        await self._http.aclose()

    async def ask(
        self, operation: str, route: str, body: Mapping[str, Any], due_s: float, *, change: bool
    ) -> Answer:
        """``operation`` is the Idempotency-Key of a ``change``."""
        headers = {"Request-Timeout": str(REQUEST_S)}
        if change:
            headers["Idempotency-Key"] = operation
        begun_s = time.monotonic()
        address = self._addresses.pick()
        for number in (1, 2):
            sent_s = time.monotonic()
            status, result, reason, pause_s = await self._attempt(address + route, body, headers)
            done_s = time.monotonic()
            self._journal.attempts.append(
                Attempt(operation, number, route, address, due_s, sent_s, done_s, status, reason)
            )
            if status not in AGAIN or number == 2:
                break
            await asyncio.sleep(pause_s)
            address = self._addresses.pick(other_than=address)
        return Answer(result, begun_s, done_s)

    async def _attempt(
        self, url: str, body: Mapping[str, Any], headers: Mapping[str, str]
    ) -> tuple[int, Mapping[str, Any] | None, str, float]:
        """Status, result, reason where there is none, and seconds to wait before another."""
        try:
            async with asyncio.timeout(ATTEMPT_S):  # httpx counts each read anew
                reply = await self._http.post(url, json=body, headers=dict(headers))
        except (httpx.HTTPError, TimeoutError) as error:
            return NO_ANSWER, None, type(error).__name__, PAUSE_S
        if reply.status_code != httpx.codes.OK:
            return reply.status_code, None, reply.text[:200], pause_before_retry(reply.headers)
        try:
            result: Mapping[str, Any] = reply.json()["result"]
        except (ValueError, KeyError, TypeError):
            return WRONG, None, "not the form of an answer", PAUSE_S
        return reply.status_code, result, "", PAUSE_S


def pause_before_retry(headers: Mapping[str, str]) -> float:
    """Seconds: a service that is short of replicas says when it will have room."""
    said = headers.get("retry-after", "")
    return min(MOST_S, max(PAUSE_S, float(said) if said.isdigit() else 0.0))
