"""Where something lies, compared as it is written: absolute paths, buckets and URLs by their parts.

Owns no disk access: whether a path is a link to elsewhere is for whoever opens it to find out.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import unquote

_URL = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://([^/?#]+)([^?#]*)(?:[?#].*)?")
_SAME_SCHEME = {"s3a": "s3", "gcs": "gs"}
_WEB_PORTS = {"http": "80", "https": "443"}
_STEPS = {".", ".."}
_UNREADABLE = re.compile(r"[\x00-\x1f\x7f\\]|::")
"""Control characters and back slashes, which readers take differently, and chains of fsspec
(``zip::s3://``), which lead anywhere."""


@dataclass(frozen=True, slots=True)
class Location:
    """``scheme``: "" for a path; ``host``: of a URL its host with port, or its bucket."""

    scheme: str
    host: str
    parts: tuple[str, ...]

    def holds(self, other: Location) -> bool:
        """Whether ``other`` is this or below it."""
        same = (self.scheme, self.host) == (other.scheme, other.host)
        return same and other.parts[: len(self.parts)] == self.parts


def location_of(place: str) -> Location | None:
    """None for what is neither an absolute path nor a URL of a host or bucket, for what has a step
    up (``..``) in it, in percent encoding too, and for a URL with a user or a ``file:`` one."""
    if _UNREADABLE.search(place):
        return None
    if place.startswith("/"):
        parts = tuple(part for part in place.split("/") if part not in {"", "."})
        return None if ".." in parts else Location("", "", parts)
    url = _URL.fullmatch(place)
    if url is None or "@" in url[2] or url[1].lower() == "file":
        return None
    scheme = url[1].lower()
    scheme = _SAME_SCHEME.get(scheme, scheme)
    host, path = url[2], url[3].removeprefix("/").rstrip("/")
    if scheme in _WEB_PORTS:
        host = host.lower()
        host = host if ":" in host else f"{host}:{_WEB_PORTS[scheme]}"
        # Twice: a proxy before the server may decode once.
        decoded = unquote(unquote(path))
        if "\\" in decoded or _STEPS & set(decoded.split("/")):
            return None
    elif "?" in place or "#" in place:
        return None  # an object's name may hold these: no part of it may be left out
    # An empty part within is a part of an object's name like any other.
    parts = tuple(path.split("/")) if path else ()
    return None if _STEPS & set(parts) else Location(scheme, host, parts)


def is_below(prefixes: Iterable[str], place: str) -> bool:
    """Whether ``place`` is one of ``prefixes`` or below one, part by part: ``/photos`` does not
    hold ``/photos-2``."""
    found = location_of(place)
    if found is None:
        return False
    locations = (location_of(prefix) for prefix in prefixes)
    return any(location is not None and location.holds(found) for location in locations)


def without_secrets(place: str) -> str:
    """For people to read: without what may be secret in a URL (user, query)."""
    scheme = re.match(r"([A-Za-z][A-Za-z0-9+.-]*)://", place)
    if scheme is None:
        return place
    if scheme[1].lower() in _WEB_PORTS:
        place = re.split(r"[?#]", place, maxsplit=1)[0]
    return re.sub(r"://[^/]*@", "://", place, count=1)
