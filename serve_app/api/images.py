"""The ``image`` of a request to the bytes of an image file, whatever it came as.

Owns what a text may be (base64, or a URL that is fetched) and how much one request may load. Must
not decode images.
"""

from __future__ import annotations

import asyncio
import binascii
from collections.abc import Sequence
from typing import Protocol

import pybase64

from serve_app.api.arrays import to_bmp
from serve_app.api.sources import ImageArray, ImageSource
from serve_app.errors import FaceServeError, FetchError, InvalidImageError, TooLargeError
from serve_app.imaging import ImageLimits
from serve_app.service import in_flight

FETCHES_IN_FLIGHT = 8

TURN_BYTES = 256 * 1024
"""After an image from here on other requests get their turn: many of them must not add up."""

THREAD_BYTES = 2 * 1024 * 1024
"""Arrays from here on are converted beside the event loop: half a millisecond, and NumPy and OpenCV
don't lock the interpreter meanwhile. Base64 within the default limit never takes as long."""

_LINE_BREAKS = str.maketrans("", "", " \t\r\n")


class Fetcher(Protocol):
    """``serve_app.fetching.Fetcher``, as far as it is used here."""

    async def fetch(self, url: str) -> bytes:
        """Raises FetchError, TooLargeError."""
        ...

    async def aclose(self) -> None: ...


class ImageReader:
    """``limits``: of one image. ``max_total_bytes``: of all images of one request."""

    def __init__(self, fetcher: Fetcher, limits: ImageLimits, max_total_bytes: int) -> None:
        self._fetcher = fetcher
        self._limits = limits
        self._max_total_bytes = max_total_bytes

    async def read(self, source: ImageSource) -> bytes:
        """Raises InvalidImageError, FetchError, TooLargeError."""
        if isinstance(source, bytes):
            return _within(source, self._limits.max_bytes)
        if isinstance(source, ImageArray) and len(source.data) >= THREAD_BYTES:
            return await asyncio.to_thread(to_bmp, source, self._limits)
        if isinstance(source, ImageArray):
            image = to_bmp(source, self._limits)
        elif is_url(source):
            return await self._fetcher.fetch(source)
        else:
            image = decode_base64(source, self._limits.max_bytes)
        if len(image) >= TURN_BYTES:
            await asyncio.sleep(0)
        return image

    async def read_all(self, sources: Sequence[ImageSource]) -> list[bytes | FaceServeError]:
        """The bytes of each source, or why there are none.

        Raises TooLargeError if they are too many bytes together: fetched images don't count in the
        body's size.
        """
        total = 0

        async def read(source: ImageSource) -> bytes | FaceServeError:
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
        raise _too_large(max_bytes)
    try:
        return pybase64.b64decode(source, validate=True)
    except (binascii.Error, ValueError):
        pass
    try:
        # Mail programs and shell tools break lines; that is the only junk that is forgiven.
        return pybase64.b64decode(source.translate(_LINE_BREAKS), validate=True)
    except (binascii.Error, ValueError):
        raise InvalidImageError("image is neither an http(s) URL nor valid base64") from None


def _within(image: bytes, max_bytes: int) -> bytes:
    if len(image) > max_bytes:
        raise _too_large(max_bytes)
    return image


def _too_large(max_bytes: int) -> TooLargeError:
    return TooLargeError(
        f"image is over the limit of {max_bytes} bytes: send a smaller or more compressed one"
    )
