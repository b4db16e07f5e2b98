"""Files wherever they lie: opened, listed and described through fsspec.

Owns which places may be read, and that the first touch of a bucket or host is bounded.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO, Any, TypeVar

from serve_app.config import FetchConfig
from serve_app.errors import (
    InvalidRequestError,
    TooLargeError,
    UnavailableError,
)
from serve_app.jobs.inputs.allowed import OUTSIDE, AllowedInputs
from serve_app.jobs.inputs.answers import translated, within
from serve_app.jobs.inputs.places import LOCAL, WEB, scheme_of, shown_place
from serve_app.jobs.inputs.stores import CONNECT, PACKAGES
from serve_app.pipeline.url_images import UrlReader

T = TypeVar("T")

FIRST_ANSWER_S = 10.0
"""For the first touch of a place; it is tried twice."""
WHOLE_BYTES = 256 * 1024 * 1024
"""Of a table that is held in memory, as its host does not serve parts, or by the guarded
download."""
GUARDED_TABLE_S = 120.0


@dataclass(frozen=True, slots=True)
class FileFacts:
    """``stamp``: changes with the content, as far as the store knows: ETag, or time of change."""

    size: int
    is_directory: bool
    stamp: str


class Files:
    """Reads places. With ``allowed``, only those: a URL is read whole by the guarded download then.

    Travels to other processes, and connects anew there.
    """

    def __init__(
        self,
        fetch: FetchConfig,
        allowed: AllowedInputs | None,
        connect: Mapping[str, Callable[[], Any]] = CONNECT,
        *,
        first_answer_s: float = FIRST_ANSWER_S,
    ) -> None:
        self.fetch = fetch
        self.allowed = allowed
        self._connect = connect
        self._first_answer_s = first_answer_s
        self._connected: dict[str, Any] = {}
        self._held: tuple[str, bytes] | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_connected": {}, "_held": None}

    def facts(self, place: str) -> FileFacts:
        """Raises InvalidRequestError if it is not there or this user may not read it,
        UnavailableError if nobody answers in time, or a bucket denies it."""
        if self._is_guarded(place):
            self._bounded(place, lambda: self._probe(place))
            return FileFacts(0, False, "")
        files, path = self.opened(place)
        info = self._bounded(place, lambda: files.info(path))
        if info.get("type") not in ("file", "directory"):  # a pipe would be waited for
            raise InvalidRequestError(f"{shown_place(place)} is neither a file nor a directory")
        stamp = info.get("ETag") or info.get("etag") or info.get("mtime") or info.get("created")
        return FileFacts(int(info.get("size") or 0), info.get("type") == "directory", str(stamp))

    def names(self, place: str) -> list[str]:
        """The places right below a directory, sorted. Raises as ``facts``."""
        files, path = self.opened(place)
        with translated(place):
            return sorted(self._place(place, name) for name in files.ls(path, detail=False))

    def below(self, place: str) -> list[str]:
        """All files below a prefix of a bucket, sorted. Raises as ``facts``."""
        files, path = self.opened(place)
        self._bounded(place, lambda: files.info(path))
        with translated(place):
            return sorted(self._place(place, name) for name in files.find(path))

    @contextlib.contextmanager
    def open(self, place: str) -> Iterator[IO[bytes]]:
        """For reading, at any offset. Raises as ``facts``, also while it is read."""
        with translated(place):
            if self._is_guarded(place):
                yield io.BytesIO(self._whole(place, partial(self._fetched, place)))
                return
            if scheme_of(place) == LOCAL:
                with Path(place).open("rb") as file:
                    if self.allowed is not None and not self.allowed.allows_open(file.fileno()):
                        raise InvalidRequestError(f"{shown_place(place)} {OUTSIDE}")
                    yield file
                return
            files, path = self.opened(place)
            if scheme_of(place) in WEB and not files.info(path).get("partial"):
                unguarded = partial(files.cat_file, path, end=WHOLE_BYTES + 1)
                yield io.BytesIO(self._whole(place, unguarded))
                return
            with files.open(path, "rb") as file:
                yield file

    def read(self, place: str, start: int = 0, end: int | None = None) -> bytes:
        """Bytes ``start`` to ``end``. Raises as ``facts``."""
        if self._is_guarded(place) or scheme_of(place) == LOCAL:
            with self.open(place) as file:
                file.seek(start)
                return file.read() if end is None else file.read(end - start)
        files, path = self.opened(place)
        with translated(place):
            return bytes(files.cat_file(path, start=start or None, end=end))

    def opened(self, place: str) -> tuple[Any, str]:
        """A file system of fsspec, and the path in it. Raises InvalidRequestError for a scheme that
        is not read, or whose package is missing."""
        scheme = scheme_of(place)
        connect = self._connect.get(scheme)
        if connect is None:
            raise InvalidRequestError(
                f"{scheme}:// is not read: give a path, or an s3://, gs://, http:// or https:// URL"
            )
        try:
            if scheme not in self._connected:
                self._connected[scheme] = self._bounded(place, connect)
            files = self._connected[scheme]
        except ImportError:
            package, extra = PACKAGES.get(scheme, ("that fsspec needs for it", ""))
            how = f": install face-serve[{extra}]" if extra else ""
            raise InvalidRequestError(f"{scheme}:// needs the package {package}{how}") from None
        return files, place if scheme in WEB or scheme == LOCAL else place.partition("://")[2]

    def _place(self, place: str, name: str) -> str:
        scheme = scheme_of(place)
        return name if scheme == LOCAL or "://" in name else f"{scheme}://{name.lstrip('/')}"

    def _is_guarded(self, place: str) -> bool:
        return self.allowed is not None and scheme_of(place) in WEB

    def _probe(self, place: str) -> None:
        with contextlib.suppress(TooLargeError):  # one byte came: it is there
            self._reader(1, self._first_answer_s)(place)

    def _fetched(self, place: str) -> bytes:
        return self._reader(WHOLE_BYTES, GUARDED_TABLE_S)(place)

    def _whole(self, place: str, fetch: Callable[[], bytes]) -> bytes:
        """From a host that does not serve parts of files, or by the guard; the last is kept."""
        if self._held is None or self._held[0] != place:
            content = bytes(fetch())
            if len(content) > WHOLE_BYTES:
                raise TooLargeError(
                    f"{shown_place(place)} is over {WHOLE_BYTES} bytes, and its host does not "
                    "serve parts of files: put it into a bucket"
                )
            self._held = place, content
        return self._held[1]

    def _reader(self, max_bytes: int, timeout_s: float) -> UrlReader:
        # A redirect would lead out of what is allowed.
        return UrlReader(
            allow=self.fetch.allow, max_bytes=max_bytes, timeout_s=timeout_s, max_redirects=0
        )

    def _bounded(self, place: str, call: Callable[[], T]) -> T:
        if scheme_of(place) == LOCAL:
            with translated(place):
                return call()
        for left in (1, 0):
            try:
                with translated(place):
                    return within(self._first_answer_s, call)
            except UnavailableError:
                if not left:
                    raise
        raise AssertionError
