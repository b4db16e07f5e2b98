"""By which names the service may be called: the header ``Host`` against DNS rebinding.

A page in somebody's browser can let its own name point to 127.0.0.1 later on. The browser then
takes the local service for the page's own server, and lets the page read all that it answers. Only
the name tells the two apart: the browser sends the page's.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from ipaddress import ip_address

from serve_app.errors import ConfigError, MisdirectedError
from serve_app.fetching.urls import normalise_host

ANY = "*"
LOOPBACK = frozenset({"localhost"})
REMEMBERED = 64
"""Spellings of Host that are known to be good: clients send the same few."""
REFUSAL = (
    "the Host header names another service: call this one by localhost or 127.0.0.1, or list its "
    "name in the Serve file (args.hosts)"
)

_HOST = re.compile(rb"(\[[0-9A-Za-z:.]+\]|[0-9A-Za-z._-]+)(?::[0-9]{1,5})?")


class Hosts:
    """Loopback names and addresses, and those in ``listed``: names (exact, ports don't count), IP
    addresses, or ``*`` for any. Raises ConfigError for an entry that is none of these."""

    def __init__(self, listed: Sequence[str] = ()) -> None:
        self._any = ANY in listed
        self._listed = frozenset(map(_listed, (entry for entry in listed if entry != ANY)))
        self._good: set[bytes] = set()

    def check(self, headers: Iterable[tuple[bytes, bytes]]) -> None:
        """Raises MisdirectedError. A request without the header is no browser's: HTTP/1.0."""
        if self._any:
            return
        sent = [value for name, value in headers if name == b"host"]
        if len(sent) == 1 and sent[0] in self._good:
            return
        if len(sent) > 1 or not all(map(self._is_ours, sent)):
            raise MisdirectedError(REFUSAL)
        if len(self._good) < REMEMBERED:
            self._good.update(sent)

    def _is_ours(self, value: bytes) -> bool:
        match = _HOST.fullmatch(value)
        if match is None:
            return False
        try:
            host = normalise_host(match[1].decode("ascii").strip("[]"))
        except ValueError:
            return False
        return host in LOOPBACK or host in self._listed or _is_loopback(host)


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def _listed(entry: str) -> str:
    try:
        return normalise_host(entry.strip("[]"))
    except ValueError:
        raise ConfigError(
            f"args.hosts: {entry!r} is no host name or IP address; leave out scheme, port and "
            "wildcards, or write '*' alone for any"
        ) from None
