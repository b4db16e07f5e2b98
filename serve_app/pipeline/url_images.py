"""Images from URLs for callers that wait: the guarded download of ``fetching`` in a plain function.

Which addresses may be read is ``fetching``'s to say: public ones, unless others are allowed.
"""

from __future__ import annotations

import asyncio
import ssl
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack

import httpcore

from serve_app.fetching import Fetcher, Resolver
from serve_app.fetching.addresses import AddressPolicy


class UrlReader:
    """Downloads one image at a call. Any thread may call it, also one that runs an event loop (a
    notebook's does).

    ``allow``: hosts and networks that may be read although private; ``max_bytes``: of an image;
    ``timeout_s``: seconds for one download. ``max_redirects``: with 0 only the URL itself is read.
    ``resolver`` replaces the system's. Raises ConfigError
    for an entry of ``allow`` that is neither.
    """

    def __init__(
        self,
        *,
        allow: Sequence[str] = (),
        max_bytes: int,
        timeout_s: float = 10.0,
        max_redirects: int = 3,
        resolver: Resolver | None = None,
    ) -> None:
        AddressPolicy(allow)  # raises now, not at the first URL
        self._allow = tuple(allow)
        self._max_bytes = max_bytes
        self._timeout_s = timeout_s
        self._max_redirects = max_redirects
        self._resolver = resolver
        self._lock = threading.Lock()
        self._tls: ssl.SSLContext | None = None

    def __call__(self, url: str) -> bytes:
        """The image's bytes. Raises FetchError, TooLargeError; they name the host at most."""
        # A loop of its own in a thread of its own: the caller's may be running one already.
        with ThreadPoolExecutor(1, thread_name_prefix="fetch") as thread:
            return thread.submit(asyncio.run, self._fetch(url)).result()

    async def _fetch(self, url: str) -> bytes:
        fetcher = Fetcher(
            allow=self._allow,
            max_bytes=self._max_bytes,
            timeout_s=self._timeout_s,
            max_redirects=self._max_redirects,
            max_concurrent=1,
            resolver=self._resolver,
            tls=self._certificates(),
        )
        async with AsyncExitStack() as stack:
            stack.push_async_callback(fetcher.aclose)
            return await fetcher.fetch(url)

    def _certificates(self) -> ssl.SSLContext:
        """Read once, when they are needed."""
        with self._lock:
            if self._tls is None:
                self._tls = httpcore.default_ssl_context()
            return self._tls
