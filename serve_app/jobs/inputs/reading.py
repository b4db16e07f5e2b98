"""Images from wherever a row says they are, for a worker: each read, or the reason why not.

Reasons are predicates or sentences without the place: the row is named beside them.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial

from serve_app.config import FetchConfig, Limits
from serve_app.errors import (
    FaceServeError,
    InvalidRequestError,
    TooLargeError,
    UnavailableError,
)
from serve_app.jobs.inputs.allowed import OUTSIDE, AllowedInputs
from serve_app.jobs.inputs.files import Files
from serve_app.jobs.inputs.places import LOCAL, WEB, scheme_of
from serve_app.jobs.inputs.rows import ImageRow
from serve_app.pipeline.image_files import read_image_file, suffix_fault
from serve_app.pipeline.url_images import UrlReader

THREADS = 16
"""Images on their way at once: an object store takes some 50 ms for each."""


class ImageReader:
    """Reads images. With ``allowed``, only from there, checked again when they are opened, and
    without following redirects. Any thread may use it.

    ``fetch``: which private hosts may be read, and for how long. ``files``: replaces what reads
    buckets.
    """

    def __init__(
        self,
        limits: Limits,
        fetch: FetchConfig,
        allowed: AllowedInputs | None,
        files: Files | None = None,
    ) -> None:
        self._max_bytes = limits.image_bytes
        self._allowed = allowed
        self._files = files or Files(fetch, allowed)
        self._urls = UrlReader(
            allow=fetch.allow,
            max_bytes=self._max_bytes,
            timeout_s=fetch.timeout_s,
            max_redirects=3 if allowed is None else 0,
        )
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="image")

    def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)

    def read(self, source: str) -> bytes:
        """All bytes of an image. Raises InvalidRequestError if it is not there, may not be read or
        is not named as an image, FetchError, TooLargeError; UnavailableError if a bucket does not
        answer or denies it: so it may with all that follow."""
        scheme = scheme_of(source)
        if self._allowed is not None and not self._allowed.allows(source):
            raise InvalidRequestError(f"the image {OUTSIDE}")
        if scheme in WEB:
            return self._urls(source)
        if scheme == LOCAL:
            return read_image_file(source, self._max_bytes, self._check_open)
        return self._object(source)

    def images(self, rows: Iterable[ImageRow]) -> Iterator[bytes | FaceServeError]:
        """Of each row its image, or why there is none, in their order. Some are read ahead.
        Raises UnavailableError, as ``read``."""
        waiting: deque[Future[bytes | FaceServeError]] = deque()
        for row in rows:
            waiting.append(self._threads.submit(partial(self._image, row)))
            if len(waiting) > THREADS:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()

    def _image(self, row: ImageRow) -> bytes | FaceServeError:
        if row.fault is not None:
            return InvalidRequestError(row.fault)
        try:
            if row.image is None:
                return self.read(row.source)
            self._check_size(len(row.image))
            return row.image
        except UnavailableError:
            raise
        except FaceServeError as error:
            return error

    def _object(self, source: str) -> bytes:
        if fault := suffix_fault(source):
            raise InvalidRequestError(fault)
        try:
            # One request: its size is not asked for before.
            image = self._files.read(source, 0, self._max_bytes + 1)
        except InvalidRequestError:
            raise InvalidRequestError("no such image, or it is empty") from None
        self._check_size(len(image))
        return image

    def _check_size(self, size: int) -> None:
        if size > self._max_bytes:
            raise TooLargeError(f"is over the limit of {self._max_bytes} bytes")

    def _check_open(self, handle: int) -> None:
        if self._allowed is not None and not self._allowed.allows_open(handle):
            raise InvalidRequestError(f"the image {OUTSIDE}")
