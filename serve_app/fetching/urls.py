"""Image URLs as clients and redirects write them.

Owns the grammar: what is a URL that may be read at all. Knows nothing of addresses: a host that
parses here is still checked when it is connected to, so a parser that reads a URL differently
gains an attacker nothing.

Reasons in the errors are predicates ("is malformed"): ``fetcher`` puts the subject before them, and
nothing of the URL itself gets into a message.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from ipaddress import ip_address
from urllib.parse import urljoin

import httpx

from serve_app.errors import FetchError

MAX_LENGTH = 8192
"""Characters of a URL. Presigned URLs take about 2,000; most servers refuse more than 8 KiB."""

DEFAULT_PORTS = {"http": 80, "https": 443}
FIRST_UNPRIVILEGED_PORT = 1024

# Explicit, because httpx.URL is lenient here: it takes "8_0" and "+80" as ports, and backslashes.
# re.ASCII, because IGNORECASE alone lets "s" match U+017F.
_SCHEME = re.compile(r"https?://", re.IGNORECASE | re.ASCII)
_AUTHORITY = re.compile(r"(?:\[[^\]]*\]|[^:\[\]\\\s]+)(?::[0-9]{1,5})?")
_NAME = re.compile(r"(?!.{254})[a-z0-9_-]{1,63}(?:\.[a-z0-9_-]{1,63})*")
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")


@dataclass(frozen=True, slots=True)
class ImageURL:
    """A URL that may be tried.

    ``host`` is a lower-case ASCII name without a final dot, or an IP address in its usual spelling
    and without brackets. ``target`` is path and query as they are sent; it stays out of the repr
    because queries hold signatures and keys.
    """

    scheme: str
    host: str
    port: int
    target: str = field(repr=False)

    @classmethod
    def parse(cls, text: str) -> ImageURL:
        """Raises FetchError with a predicate as its message."""
        if len(text) > MAX_LENGTH:
            raise FetchError(f"is longer than {MAX_LENGTH} characters")
        scheme = _SCHEME.match(text)
        if scheme is None:
            raise FetchError("does not begin with http:// or https://")
        authority = re.split(r"[/?#]", text[scheme.end() :], maxsplit=1)[0]
        if "@" in authority:
            raise FetchError("holds credentials: leave out the user name and password")
        if _AUTHORITY.fullmatch(authority) is None:
            raise FetchError("is malformed")
        try:
            url = httpx.URL(text)
            host = normalise_host(url.raw_host.decode("ascii"))
        except (httpx.InvalidURL, ValueError) as error:
            raise FetchError("is malformed, or its host is spelled in an unusual way") from error
        port = DEFAULT_PORTS[url.scheme] if url.port is None else url.port
        _check_port(port)
        return cls(url.scheme, host, port, url.raw_path.decode("ascii"))

    def join(self, location: str) -> ImageURL:
        """Where a redirect from here leads. Raises FetchError as ``parse`` does.

        https to http is refused: who asked for https must not be given a picture that somebody on
        the way could have swapped, least of all for an enrolment.
        """
        try:
            text = urljoin(str(self), location)
        except ValueError as error:
            raise FetchError("is malformed") from error
        joined = ImageURL.parse(text)
        if (self.scheme, joined.scheme) == ("https", "http"):
            raise FetchError("leads from https to http")
        return joined

    @property
    def authority(self) -> str:
        """Host and port as the Host header has them."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == DEFAULT_PORTS[self.scheme] else f"{host}:{self.port}"

    def __str__(self) -> str:
        return f"{self.scheme}://{self.authority}{self.target}"


def normalise_host(text: str) -> str:
    """The one spelling of a host. Raises ValueError for what is neither a name nor a plain address.

    A last label that is a number is refused unless all of it is a plain dotted quad: no top-level
    domain is a number, and resolvers read 2130706433, 0x7f.1 and 127.1 as addresses (WHATWG URL,
    "ends in a number"). So are zones: they only occur in link-local addresses.
    """
    if "%" in text:
        raise ValueError("a zone or a percent sign in a host")
    try:
        return str(ip_address(text))
    except ValueError:
        name = text.lower().removesuffix(".")
    if _NAME.fullmatch(name) is None or _NUMBER.fullmatch(name.rpartition(".")[2]):
        raise ValueError("neither a host name nor an IP address in its usual spelling")
    return name


def _check_port(port: int) -> None:
    """80, 443 and everything from 1024 on.

    Servers of pictures on high ports are common. The other low ones belong to other protocols
    (mail, ssh, ...), where a request from us is abuse and an answer never a picture.
    """
    if port not in DEFAULT_PORTS.values() and not FIRST_UNPRIVILEGED_PORT <= port <= 65535:
        raise FetchError("names a port that is not read: use 80, 443 or 1024 to 65535")
