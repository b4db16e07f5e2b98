"""Downloads one image over HTTP within limits of size, time and redirects.

Owns the HTTP of it: what is asked for, which answers are taken. Which hosts may be read is
``network``'s to say, at every connection; what is in the bytes is the decoder's.

httpcore is used without httpx above it: no proxies or credentials from the environment, no cookies,
no redirects and no decompression can get in between.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import dataclass

import httpcore

from serve_app.errors import ConfigError, FetchError, TooLargeError, UnavailableError
from serve_app.fetching.addresses import AddressPolicy
from serve_app.fetching.network import GuardedNetwork, Resolver, ThreadResolver
from serve_app.fetching.urls import ImageURL

MAX_HEADER_FIELDS = 100
REDIRECTS = frozenset({301, 302, 303, 307, 308})


@dataclass(frozen=True, slots=True)
class _Redirect:
    location: str


class Fetcher:
    """Reads image URLs. Belongs to one event loop.

    Every request has a connection of its own, closed after it. A shared pool would save handshakes
    to a host that is asked often. It would also keep sockets open to hosts that clients choose, let
    the rest of one client's answer become the start of another's, and answer from a connection
    whose check lies in the past.

    ``allow``: hosts and networks that may be read although private. ``max_bytes``: of the body.
    ``timeout_s``: seconds for everything: lookup, connection, TLS, head, body, redirects.
    ``max_concurrent``: fetches at once; others wait their turn, which is not counted. It bounds
    memory, at about twice ``max_bytes`` each. ``resolver``, ``network`` and ``tls`` replace the
    system's; a resolver that is passed in is the caller's to close.

    Raises ConfigError for limits or ``allow`` entries that make no sense.
    """

    def __init__(
        self,
        *,
        allow: Sequence[str] = (),
        max_bytes: int,
        timeout_s: float,
        max_redirects: int = 3,
        max_concurrent: int = 32,
        resolver: Resolver | None = None,
        network: httpcore.AsyncNetworkBackend | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        if max_bytes < 1 or timeout_s <= 0 or max_redirects < 0 or max_concurrent < 1:
            raise ConfigError("fetch: a limit is zero or negative")
        self._policy = AddressPolicy(allow)
        self._max_bytes = max_bytes
        self._timeout_s = timeout_s
        self._max_redirects = max_redirects
        self._slots = asyncio.Semaphore(max_concurrent)
        self._threads: ThreadResolver | None = None
        if resolver is None:
            resolver = self._threads = ThreadResolver(max_concurrent)
        self._resolver = resolver
        self._network = network or httpcore.AnyIOBackend()
        self._tls = tls or httpcore.default_ssl_context()
        self._closed = False

    async def fetch(self, url: str) -> bytes:
        """The body at ``url``, at most ``max_bytes``.

        Raises FetchError if the URL may not or can't be read, TooLargeError if the body is over the
        limit, UnavailableError after ``aclose``. Messages name the host in the URL at most.
        """
        if self._closed:
            raise UnavailableError("image URLs are no longer read: the service is stopping")
        try:
            target = ImageURL.parse(url)
        except FetchError as error:
            raise FetchError(f"the image URL {error}") from error
        async with self._slots:
            try:
                async with asyncio.timeout(self._timeout_s):
                    return await self._follow(target)
            except TimeoutError as error:
                raise FetchError(
                    f"{target.host} did not deliver the image within {self._timeout_s:g} s"
                ) from error

    async def aclose(self) -> None:
        """Refuse new fetches. Those under way run on, until their deadline at most."""
        self._closed = True
        if self._threads is not None:
            self._threads.close()

    async def _follow(self, url: ImageURL) -> bytes:
        host = subject = url.host
        for _ in range(self._max_redirects + 1):
            try:
                answer = await self._get(url)
                if isinstance(answer, bytes):
                    return answer
                # Where it leads is not the client's to know: it may be an internal name.
                subject = f"a redirect of {host}"
                url = url.join(answer.location)
            except (FetchError, TooLargeError) as error:
                raise type(error)(f"{subject} {error}") from error
        raise FetchError(f"{host} redirects more than {self._max_redirects} times")

    async def _get(self, url: ImageURL) -> bytes | _Redirect:
        """One request on one connection. Messages of its errors are predicates."""
        network = GuardedNetwork(self._policy, self._resolver, self._network, self._timeout_s)
        request_url = httpcore.URL(
            scheme=url.scheme, host=url.host, port=url.port, target=url.target
        )
        headers = [
            ("Host", url.authority),
            ("User-Agent", "face-serve"),
            ("Accept", "image/*"),
            ("Accept-Encoding", "identity"),
            ("Connection", "close"),
        ]
        connection = httpcore.AsyncHTTPConnection(
            request_url.origin, ssl_context=self._tls, network_backend=network
        )
        async with aclosing(network), connection:
            try:
                async with connection.stream("GET", request_url, headers=headers) as response:
                    return _redirect(response) or await self._body(response, network)
            except (httpcore.NetworkError, httpcore.ProtocolError, OSError) as error:
                raise FetchError(_reason(error)) from error

    async def _body(self, response: httpcore.Response, network: GuardedNetwork) -> bytes:
        if response.status != 200:
            raise FetchError(f"answered with status {response.status}")
        # A small compressed body may be a huge one; identity was asked for.
        if _header(response, b"content-encoding").lower() not in {b"", b"identity"}:
            raise FetchError("sent a compressed body (Content-Encoding), which is not read")
        too_large = TooLargeError(f"sent an image of more than {self._max_bytes} bytes")
        if int(_header(response, b"content-length") or b"0") > self._max_bytes:
            raise too_large
        body = bytearray()
        async for chunk in response.aiter_stream():
            body += chunk
            if len(body) > self._max_bytes:
                raise too_large
            network.meter.delivered(len(chunk))
        return bytes(body)


def _redirect(response: httpcore.Response) -> _Redirect | None:
    if len(response.headers) > MAX_HEADER_FIELDS:
        raise FetchError(f"sent more than {MAX_HEADER_FIELDS} header fields")
    location = _header(response, b"location")
    if response.status not in REDIRECTS or not location:
        return None
    return _Redirect(location.decode("utf-8", errors="replace"))


def _header(response: httpcore.Response, name: bytes) -> bytes:
    """All values of a header field in one, as RFC 9110 5.3 joins them; empty if there is none."""
    return b", ".join(value for key, value in response.headers if key.lower() == name).strip()


def _reason(error: Exception) -> str:
    """The predicate for a failure below HTTP. The error's own text may hold the address."""
    if isinstance(error, ssl.SSLError) or isinstance(error.__cause__, ssl.SSLError):
        return "has no valid certificate, or broke off the TLS handshake"
    if isinstance(error, httpcore.ProtocolError):
        return "broke off the answer, or did not answer in HTTP"
    return "broke off the connection"
