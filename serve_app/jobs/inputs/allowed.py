"""What a job that came over HTTP may read and write: places below the Serve file's
``jobs.inputs``, and nothing else.

A path is checked twice: as it is written and as the file system resolves it. Where a file is
opened, its open descriptor is checked too, as a link may have been put in its place meanwhile.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

from serve_app.config import JobRequest
from serve_app.errors import ConfigError, FetchError, InvalidRequestError
from serve_app.fetching.urls import ImageURL
from serve_app.jobs.inputs.places import LOCAL, WEB, placed, scheme_of

OUTSIDE = "is not below a prefix that the Serve file allows jobs to read (jobs.inputs)"
DEFAULT_PIPELINE = "face_recognition"
STEPS = {".", ".."}


@dataclass(frozen=True, slots=True)
class AllowedInputs:
    """``prefixes``: absolute paths (``/photos``), buckets (``s3://bucket/people``) and URLs
    (``https://host/people``); each allows itself and what is below it, component by component.

    Raises ConfigError for a prefix that is none of these.
    """

    prefixes: tuple[str, ...]

    def __post_init__(self) -> None:
        for prefix in self.prefixes:
            if scheme_of(prefix) == LOCAL and not prefix.startswith("/"):
                raise ConfigError(f"jobs.inputs: {prefix!r} is neither an absolute path nor a URL")
            if scheme_of(prefix) != LOCAL and _parts(prefix) is None:
                raise ConfigError(
                    f"jobs.inputs: {prefix!r} names no bucket or host, or has . or .. in it"
                )

    def check(self, field: str, place: str) -> None:
        """Raises InvalidRequestError, the same whether or not there is such a place."""
        if not self.allows(place):
            raise InvalidRequestError(f"{field} {OUTSIDE}")

    def check_request(self, request: JobRequest) -> None:
        """All that a request names: its input, root, report and pipeline file. Raises
        InvalidRequestError."""
        self.check("input", request.input)
        for field, place in (("root", request.root), ("report", request.report)):
            if place is not None:
                self.check(field, place)
        if request.pipeline not in (None, DEFAULT_PIPELINE):
            self.check("pipeline", str(request.pipeline))

    def allows(self, place: str) -> bool:
        try:
            place = placed(place)
        except InvalidRequestError:
            return False
        if scheme_of(place) != LOCAL:
            parts = _parts(place)
            return parts is not None and any(
                _below(parts, prefix_parts)
                for prefix in self.prefixes
                if scheme_of(prefix) != LOCAL and (prefix_parts := _parts(prefix)) is not None
            )
        return self._allows_path(place)

    def allows_open(self, handle: int) -> bool:
        """Of an open local file, wherever it really lies: for a link that was put in its place."""
        try:
            real = str(Path(f"/proc/self/fd/{handle}").readlink())
        except OSError:
            return False
        return any(_below(_components(real), _components(root)) for root in self._real_roots())

    def _allows_path(self, path: str) -> bool:
        """First as it is written: nothing outside is so much as looked for."""
        roots = [os.path.normpath(prefix) for prefix in self._paths()]
        real_roots = self._real_roots()
        written = _components(path)
        if not any(_below(written, _components(root)) for root in [*roots, *real_roots]):
            return False
        real = _components(os.path.realpath(path))
        return any(_below(real, _components(root)) for root in real_roots)

    def _paths(self) -> list[str]:
        return [prefix for prefix in self.prefixes if scheme_of(prefix) == LOCAL]

    def _real_roots(self) -> list[str]:
        return [os.path.realpath(prefix) for prefix in self._paths()]


def _components(path: str) -> list[str]:
    return [part for part in path.split("/") if part]


def _below(parts: list[str], prefix: list[str]) -> bool:
    return parts[: len(prefix)] == prefix


def _parts(url: str) -> list[str] | None:
    """Scheme, host or bucket, and path of a URL; None for one whose server may read it as another
    path, or without a host."""
    scheme = scheme_of(url)
    if scheme in WEB:
        try:
            target = ImageURL.parse(url)
        except FetchError:
            return None
        path = target.target.partition("?")[0]
        # Twice: a proxy before the server may decode once.
        if "\\" in unquote(unquote(path)) or STEPS & set(unquote(unquote(path)).split("/")):
            return None
        return [scheme, f"{target.host}:{target.port}", *_trimmed(path.removeprefix("/"))]
    bucket, _, key = url.partition("://")[2].partition("/")
    if not bucket or STEPS & set(key.split("/")):
        return None
    return [scheme, bucket, *_trimmed(key)]


def _trimmed(path: str) -> list[str]:
    """Components, without the empty one behind a last slash."""
    parts = path.split("/")
    while parts and not parts[-1]:
        parts.pop()
    return parts
