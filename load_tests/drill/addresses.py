"""What a Kubernetes Service knows of the proxies: which of them answered their readiness probe.

A model of the Service, not of the network: a machine that died refuses connections at once, where
a real one may leave them unanswered. The list is as old as the probes' interval, so for a while
requests go to a proxy that is gone, as they would.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Sequence

import httpx

PROBE = "/-/healthz"
INTERVAL_S = 5.0
"""As KubeRay's readiness probe of worker pods: one failure takes a pod out."""
PROBE_TIMEOUT_S = 2.0


class Addresses:
    """Addresses to send to; ``probing`` keeps them up to date. Thread-safe."""

    def __init__(self, urls: Sequence[str], seed: int = 1, interval_s: float = INTERVAL_S) -> None:
        self._lock = threading.Lock()
        self._urls = list(urls)
        self._ready = list(urls)
        self._interval_s = interval_s
        self._rng = random.Random(seed)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._probe_until_stopped, daemon=True)

    def __enter__(self) -> Addresses:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def replace(self, urls: Sequence[str]) -> None:
        """Those that there are from now on. New ones count once they were probed; unless nobody
        else is left, those that were ready stay so."""
        with self._lock:
            self._urls = list(urls)
            self._ready = [url for url in self._ready if url in urls]

    def pick(self, other_than: str | None = None) -> str:
        """One of those that are ready, by chance; for a retry another one, if there is one."""
        with self._lock:
            ready = self._ready or self._urls
            return self._rng.choice([url for url in ready if url != other_than] or ready)

    @property
    def ready(self) -> list[str]:
        with self._lock:
            return list(self._ready)

    def probe(self) -> None:
        """Ask each once."""
        with self._lock:
            urls = list(self._urls)
        answered = [url for url in urls if is_ready(url)]
        with self._lock:
            self._ready = [url for url in answered if url in self._urls]

    def _probe_until_stopped(self) -> None:
        while not self._stop.wait(self._interval_s):
            self.probe()


def is_ready(url: str) -> bool:
    try:
        reply = httpx.get(url + PROBE, timeout=PROBE_TIMEOUT_S, trust_env=False)
    except httpx.HTTPError:
        return False
    return reply.status_code == httpx.codes.OK
