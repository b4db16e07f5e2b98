"""One archive over HTTP into a file: resumed where it broke off, within a deadline.

Knows nothing of models, digests or the cache. No message holds the URL: a mirror's may have a
password in it.
"""

from __future__ import annotations

import hashlib
import json
import logging
import time
from dataclasses import dataclass
from pathlib import Path

import httpx

from serve_app.errors import ConfigError, ModelError
from serve_app.models.zoo.progress import Progress

logger = logging.getLogger(__name__)

MAX_BYTES = 2**30
"""Ten times the largest official archive."""
MAX_REDIRECTS = 5
TRY_AGAIN = {408, 429, 500, 502, 503, 504}


@dataclass(frozen=True, slots=True)
class Patience:
    """Seconds for a whole archive, seconds without a byte, attempts in a row that bring nothing,
    and seconds before the second of them (each later one waits twice as long)."""

    total: float = 1800
    stalled: float = 30
    attempts: int = 4
    pause: float = 1


class _InterruptedError(Exception):
    """Worth another attempt; the text says what happened."""


class _UnreachableError(_InterruptedError):
    """Worth it only if the server was there before: without a network, say so at once."""


def download(url: str, part: Path, patience: Patience, progress: Progress) -> None:
    """Write what ``url`` holds to ``part``, going on with what is there of it already.

    Going on takes a strong ETag (RFC 9110, If-Range); without one, and from a server that ignores
    Range or has another ETag by now, it starts over. When it fails, ``part`` stays for next time.

    Raises ModelError that says what happened, ConfigError where the URL is none.
    """
    transfer = _Transfer(url, part, time.monotonic() + patience.total, progress)
    timeout = httpx.Timeout(min(patience.stalled, patience.total))
    # No compression on the way: Range counts bytes of what is sent.
    headers = {"Accept-Encoding": "identity", "User-Agent": "face-serve"}
    failures = 0
    with httpx.Client(timeout=timeout, headers=headers) as client:
        while True:
            before = transfer.there()
            try:
                transfer.run(client)
                return
            except _InterruptedError as problem:
                failures = 1 if transfer.there() > before else failures + 1
                pause = patience.pause * 2 ** (failures - 1)
                hopeless = isinstance(problem, _UnreachableError) and not transfer.received
                if hopeless or failures >= patience.attempts or transfer.left() < pause:
                    raise ModelError(str(problem)) from None
                logger.info("download interrupted: %s; trying again", problem)
                time.sleep(pause)


class _Transfer:
    """Attempts at one URL. Beside a part lies what is known of it: its URL's digest, its ETag."""

    def __init__(self, url: str, part: Path, until: float, progress: Progress) -> None:
        self._url = url
        self._part = part
        self._facts = part.with_name(part.name + ".json")
        self._until = until
        self._progress = progress
        self.received = False

    def there(self) -> int:
        return self._part.stat().st_size if self._part.exists() else 0

    def left(self) -> float:
        return self._until - time.monotonic()

    def run(self, client: httpx.Client) -> None:
        """Raises _InterruptedError for what may go better next time, ModelError, ConfigError."""
        try:
            self._attempt(client)
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.ProxyError) as error:
            if "CERTIFICATE_VERIFY_FAILED" in str(error):
                raise ModelError(
                    "the server's certificate is not trusted; SSL_CERT_FILE names others"
                ) from None
            raise _UnreachableError("the server can't be reached") from None
        except httpx.TimeoutException:
            raise _InterruptedError("the server stopped sending") from None
        except (httpx.InvalidURL, httpx.UnsupportedProtocol):
            raise ConfigError("the URL of the archive can't be read; check the mirror") from None
        except httpx.HTTPError:
            raise _InterruptedError("the connection broke off") from None

    def _attempt(self, client: httpx.Client) -> None:
        start, etag = self.there(), self._known_etag()
        headers = {"Range": f"bytes={start}-", "If-Range": etag} if start and etag else {}
        response = _get(client, self._url, headers)
        try:
            if response.status_code == 206 and _goes_on(response, start, etag):
                self._write(response, start)
            elif response.status_code == 200:
                self._begin(response)
                self._write(response, 0)
            elif response.status_code == 416 and _span(response) == (None, start):
                return  # nothing was missing
            elif response.status_code in (206, 416):
                self._part.unlink(missing_ok=True)
                raise _InterruptedError("the archive changed on the server")
            elif response.status_code in TRY_AGAIN:
                raise _InterruptedError(f"the server answers {response.status_code}")
            else:
                raise ModelError(f"the server answers {response.status_code}")
        finally:
            response.close()

    def _write(self, response: httpx.Response, start: int) -> None:
        if response.headers.get("Content-Encoding", "identity") != "identity":
            raise ModelError("the server sends the archive compressed, which was not asked for")
        length = response.headers.get("Content-Length", "")
        total = start + int(length) if length.isdigit() else None
        done = start
        with self._part.open("ab") as file:
            for chunk in response.iter_raw():  # unbuffered: what came is kept
                done += len(chunk)
                if max(done, total or 0) > MAX_BYTES:
                    raise ModelError(f"the archive has more than {MAX_BYTES >> 20} MiB")
                if self.left() < 0:
                    raise ModelError("the download did not end in time; it goes on at the next try")
                file.write(chunk)
                self.received = True
                self._progress(done, total)

    def _begin(self, response: httpx.Response) -> None:
        self._part.unlink(missing_ok=True)
        facts = {"url": self._fingerprint(), "etag": _strong_etag(response)}
        self._facts.write_text(json.dumps(facts), encoding="utf-8")

    def _known_etag(self) -> str | None:
        try:
            facts = json.loads(self._facts.read_text(encoding="utf-8"))
            return facts["etag"] if facts["url"] == self._fingerprint() else None
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def _fingerprint(self) -> str:
        return hashlib.sha256(self._url.encode()).hexdigest()


def _get(client: httpx.Client, url: str, headers: dict[str, str]) -> httpx.Response:
    """The answer behind redirects, its body unread. Never from https to http: someone on the way
    could put another archive in the place of the one that is trusted from now on."""
    request = client.build_request("GET", url, headers=headers)
    for _ in range(MAX_REDIRECTS + 1):
        response = client.send(request, stream=True)
        following = response.next_request
        if following is None:
            return response
        response.close()
        if request.url.scheme == "https" and following.url.scheme != "https":
            raise ModelError("the server redirects from https to http, which is refused")
        request = following
    raise ModelError(f"the server redirects more than {MAX_REDIRECTS} times")


def _goes_on(response: httpx.Response, start: int, etag: str | None) -> bool:
    """Whether a 206 is the rest of what is there: some servers ignore If-Range."""
    same = response.headers.get("ETag", etag) == etag
    return start > 0 and same and _span(response)[0] == start


def _span(response: httpx.Response) -> tuple[int | None, int | None]:
    """First byte and size of the whole in Content-Range: ``bytes 10-19/20``, ``bytes */20``."""
    unit, _, rest = response.headers.get("Content-Range", "").partition(" ")
    span, _, total = rest.partition("/")
    first = span.partition("-")[0]
    if unit != "bytes":
        return None, None
    return (int(first) if first.isdigit() else None), (int(total) if total.isdigit() else None)


def _strong_etag(response: httpx.Response) -> str | None:
    etag = response.headers.get("ETag")
    return etag if etag and etag.startswith('"') else None
