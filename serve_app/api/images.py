"""The ``image`` of a request to the bytes of an image file: base64, or a URL that is fetched.

Owns what the string may be and how much one request may load. Must not decode images.
"""

from __future__ import annotations

import binascii
from collections.abc import Sequence
from typing import Protocol

import pybase64

from serve_app.errors import FaceServeError, FetchError, InvalidImageError, TooLargeError
from serve_app.service import in_flight

FETCHES_IN_FLIGHT = 8
_LINE_BREAKS = str.maketrans("", "", " \t\r\n")


class Fetcher(Protocol):
    """``serve_app.fetching.Fetcher``, as far as it is used here."""

    async def fetch(self, url: str) -> bytes:
        """Raises FetchError, TooLargeError."""
        ...

    async def aclose(self) -> None: ...


class ImageReader:
    """``max_bytes``: of one image. ``max_total_bytes``: of all images of one request."""

    def __init__(self, fetcher: Fetcher, max_bytes: int, max_total_bytes: int) -> None:
        self._fetcher = fetcher
        self._max_bytes = max_bytes
        self._max_total_bytes = max_total_bytes

    async def read(self, source: str) -> bytes:
        """Raises InvalidImageError, FetchError, TooLargeError."""
        if is_url(source):
            return await self._fetcher.fetch(source)
        return decode_base64(source, self._max_bytes)

    async def read_all(self, sources: Sequence[str]) -> list[bytes | FaceServeError]:
        """The bytes of each source, or why there are none.

        Raises TooLargeError if they are too many bytes together: fetched images don't count in the
        body's size.
        """
        total = 0

        async def read(source: str) -> bytes | FaceServeError:
            nonlocal total
            try:
                image = await self.read(source)
            except (InvalidImageError, FetchError, TooLargeError) as error:
                return error
            total += len(image)
            if total > self._max_total_bytes:
                raise TooLargeError(
                    f"the images of one request have more than {self._max_total_bytes} bytes "
                    "together: send them in several requests"
                )
            return image

        return await in_flight(read, sources, FETCHES_IN_FLIGHT)


def is_url(source: str) -> bool:
    return source[:8].lower().startswith(("http://", "https://"))


def decode_base64(source: str, max_bytes: int) -> bytes:
    """Bytes of strict base64, after a ``data:`` prefix; line breaks and blanks are let through.

    Raises TooLargeError before anything is decoded, InvalidImageError.
    """
    if source[:5].lower() == "data:":
        _, comma, source = source.partition(",")
        if not comma:
            raise InvalidImageError("image starts with data: but has no comma before its base64")
    if len(source) // 4 * 3 > max_bytes + 2:  # up to two bytes are padding
        raise TooLargeError(
            f"image is over the limit of {max_bytes} bytes: send a smaller or more compressed one"
        )
    try:
        return pybase64.b64decode(source, validate=True)
    except (binascii.Error, ValueError):
        pass
    try:
        # Mail programs and shell tools break lines; that is the only junk that is forgiven.
        return pybase64.b64decode(source.translate(_LINE_BREAKS), validate=True)
    except (binascii.Error, ValueError):
        raise InvalidImageError("image is neither an http(s) URL nor valid base64") from None
