"""What ``predict`` takes, one image after the other: arrays, files, directories, URLs, and dicts
and lists of them.

Owns how an input is called and where its bytes come from. Nothing is read before it is asked for,
and nothing is kept. Knows no models.
"""

from __future__ import annotations

import io
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import cv2
import numpy as np
from numpy.typing import NDArray

from serve_app.errors import FaceServeError, InvalidRequestError
from serve_app.imaging import ImageLimits, decode
from serve_app.pipeline.image_files import MOST_PATH, images_in, read_image_file
from serve_app.types import Image

TAKEN = (
    "give an array (H, W, 3) uint8 BGR, a path, an http(s) URL, a directory, "
    '{"img": one of these}, or a list of them'
)
MOST_NESTED = 20
TO_RGB = {1: cv2.COLOR_GRAY2RGB, 3: cv2.COLOR_BGR2RGB, 4: cv2.COLOR_BGRA2RGB}
"""By channels."""
URL = re.compile(r"https?://", re.IGNORECASE | re.ASCII)
UNSAFE = re.compile(r"[\x00-\x1f\x7f/\\:]+")
MOST_NAME = 100


@dataclass(frozen=True, slots=True)
class Input:
    """One image to look at.

    ``path``: as the caller wrote it; of a file in a directory, with the directory as he wrote it;
    None for an array. ``name``: of files with its result. ``where``: what messages call it.
    """

    path: str | None
    name: str
    where: str
    limits: ImageLimits = field(repr=False)
    source: Callable[[], bytes | Image] = field(repr=False)

    def read(self) -> bytes | Image:
        """The encoded image, or pixels (H, W, 3) uint8 RGB of an array. Read anew at each call, in
        any thread.

        Raises InvalidRequestError, FetchError, TooLargeError with a reason that doesn't name the
        input: put ``where`` before it.
        """
        return self.source()

    def pixels(self) -> Image:
        """Pixels (H, W, 3) uint8 RGB, upright. Raises as ``read`` does and InvalidImageError, and
        names the input."""
        try:
            source = self.source()
            return decode(source, self.limits) if isinstance(source, bytes) else source
        except FaceServeError as error:
            raise type(error)(f"{self.where}: {error}") from None


class InputReader:
    """Makes an ``Input`` of each image that a caller gives. Any thread may use it.

    ``limits``: of one image; ``fetch``: the bytes at a URL, raises FetchError.
    """

    def __init__(self, limits: ImageLimits, fetch: Callable[[str], bytes]) -> None:
        self._limits = limits
        self._fetch = fetch

    def expand(self, value: Any) -> Iterator[Input]:
        """Every image in ``value``: of a list in its order, of a directory in the order of the full
        paths. Lazily: an iterator is asked for an item when the one before it was taken.

        Raises InvalidRequestError when the turn comes of what can't be an image, or of a directory
        without one. A missing file is ``Input.read``'s to tell.
        """
        return self._expand(value, count(), 0)

    def one(self, value: Any, where: str = "", position: int = 0) -> Input:
        """The ``Input`` of an array, a path or a URL; ``where``: what messages call it, left out
        its path. ``position`` numbers the results of arrays.

        Raises InvalidRequestError for anything else.
        """
        if isinstance(value, np.ndarray):
            called = where or f"image {position}"
            return self._input(None, f"image_{position}.png", called, lambda: rgb_of(value))
        if isinstance(value, str | os.PathLike):
            path = _text(value)
            if is_url(path):
                name = _url_name(path) or f"image_{position}.png"
                return self._input(path, name, where or _shown(path), lambda: self._fetch(path))
            return self._file(path, where)
        kind = "is None" if value is None else f"has type {type(value).__name__}"
        raise InvalidRequestError(f"{where or f'image {position}'} {kind}: {TAKEN}")

    def _expand(self, value: Any, positions: Iterator[int], depth: int) -> Iterator[Input]:
        if depth > MOST_NESTED:
            raise InvalidRequestError(f"lists are nested more than {MOST_NESTED} deep: {TAKEN}")
        if isinstance(value, Mapping):
            yield from self._expand(_under_img(value), positions, depth + 1)
        elif isinstance(value, str | os.PathLike) and _is_directory(_text(value)):
            for path in images_in(_text(value)):
                next(positions)
                yield self._file(path, "")
        elif _is_listing(value):
            for each in value:
                yield from self._expand(each, positions, depth + 1)
        else:
            yield self.one(value, "", next(positions))

    def _file(self, path: str, where: str) -> Input:
        def source() -> bytes:
            return read_image_file(path, self._limits.max_bytes)

        return self._input(path, Path(path).name, where or _shown(path), source)

    def _input(
        self, path: str | None, name: str, where: str, source: Callable[[], bytes | Image]
    ) -> Input:
        return Input(path, name, where, self._limits, source)


def rgb_of(array: NDArray[Any]) -> Image:
    """RGB pixels (H, W, 3) of an image as OpenCV has it: uint8, (H, W, 3) BGR, (H, W, 4) BGRA, or
    grey as (H, W) or (H, W, 1). A copy. Raises InvalidRequestError."""
    channels = 1 if array.ndim == 2 else array.shape[-1] if array.ndim == 3 else 0
    if array.dtype != np.uint8 or channels not in TO_RGB or not array.size:
        raise InvalidRequestError(
            f"an array {array.shape} of {array.dtype} is no image: give (H, W, 3) uint8, BGR "
            "as cv2.imread does"
        )
    rgb = cv2.cvtColor(np.ascontiguousarray(array), TO_RGB[channels])
    return np.asarray(rgb, dtype=np.uint8)


def _under_img(value: Mapping[Any, Any]) -> Any:
    others = [key for key in value if key != "img"]
    if others or "img" not in value:
        named = f"has the key {_shown(str(others[0]))!r}" if others else "is empty"
        raise InvalidRequestError(f'a dict in the input {named}: write {{"img": image}}')
    return value["img"]


def _is_listing(value: Any) -> bool:
    """Whether a value stands for its items: not open files and texts, nor another library's image
    or tensor."""
    if isinstance(value, np.ndarray):
        return value.ndim == 1 and value.dtype.kind in "OU"
    single = (str, bytes, bytearray, memoryview, os.PathLike, io.IOBase)
    dimensions = len(getattr(value, "shape", "1"))
    return isinstance(value, Iterable) and not isinstance(value, single) and dimensions == 1


def _is_directory(path: str) -> bool:
    try:
        return 0 < len(path) <= MOST_PATH and not is_url(path) and Path(path).is_dir()
    except OSError:
        return False


def is_url(path: str) -> bool:
    return URL.match(path) is not None


def _text(path: str | os.PathLike[Any]) -> str:
    return str(os.fsdecode(path))  # NumPy's own strings are taken for bytes by os.scandir


def _shown(path: str) -> str:
    """For a message: without a URL's query, which may hold a key, and not too long."""
    text = re.split(r"[?#]", path, maxsplit=1)[0] if is_url(path) else path
    return (text if len(text) <= MOST_PATH else f"{text[:40]}...") or "''"


def _url_name(url: str) -> str:
    """The last part of a URL's path as the name of a file; empty if it has none."""
    try:
        last = urlsplit(url).path.rpartition("/")[2]
    except ValueError:
        return ""
    return UNSAFE.sub("_", unquote(last)).lstrip(".")[-MOST_NAME:]
