"""Image files and directories of them, as a caller names them.

Errors are predicates ("no such file"): callers put before them what they call the file.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

from serve_app.errors import InvalidRequestError, TooLargeError

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff", ".gif")
"""In small letters; files may have them in any."""

MOST_PATH = 4096
"""Bytes of a path, on Linux. What is longer is no path but, mostly, an image in base64."""


def read_image_file(path: str, max_bytes: int, check: Callable[[int], None] | None = None) -> bytes:
    """All of a file. ``check`` is given the open file's descriptor before anything is read, and
    raises if it may not be. Raises InvalidRequestError if it is not there or not named as an image,
    TooLargeError."""
    if fault := suffix_fault(path):
        raise InvalidRequestError(fault)
    try:
        # What is no regular file may block when it is opened, or never end.
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        with os.fdopen(handle, "rb") as file:
            if check is not None:
                check(handle)
            facts = os.fstat(handle)
            if not stat.S_ISREG(facts.st_mode):
                raise InvalidRequestError(file_fault(path) or "no regular file")
            if facts.st_size > max_bytes:
                raise TooLargeError(
                    f"file of {facts.st_size} bytes, over the limit of {max_bytes} bytes"
                )
            return file.read()
    except (OSError, ValueError) as error:  # ValueError: a NUL in it
        why = getattr(error, "strerror", None) or error
        raise InvalidRequestError(file_fault(path) or f"can't be read: {why}") from None


def file_fault(path: str) -> str | None:
    """What is wrong with it, from its name and what the file system knows of it; None if nothing
    is."""
    if not 0 < len(path) <= MOST_PATH:
        what = f"a text of {len(path)} characters is no path: base64 is not taken here"
        return what if path else "an empty path"
    try:
        mode = Path(path).stat().st_mode
    except FileNotFoundError:
        return "no such file: check the path" + _hint(path)
    except (OSError, ValueError) as error:  # ValueError: a NUL in it
        return f"can't be read: {getattr(error, 'strerror', None) or error}"
    if not stat.S_ISREG(mode):
        return "a directory, not an image file" if stat.S_ISDIR(mode) else "no regular file"
    return suffix_fault(path)


def suffix_fault(path: str) -> str | None:
    """What is wrong with the end of a file's name; None if nothing is, or it has no suffix."""
    suffix = Path(path).suffix.lower()
    if suffix == ".pdf":
        return "a PDF is not read: save its pages as images first"
    if suffix and suffix not in IMAGE_SUFFIXES:
        return f"{suffix} is not read: give an image file ({' '.join(IMAGE_SUFFIXES)})"
    return None


def images_in(directory: str) -> Iterator[str]:
    """Paths of the image files in a directory and those below it, in the order of ``sorted`` on
    all of them, lazily: one listing of each directory on the way is held at a time.

    Links to directories are not followed. Raises InvalidRequestError that names the directory which
    can't be read, or ``directory`` if there is no image.
    """
    found = False
    for file in walked(directory):
        found = True
        yield file
    if not found:
        raise InvalidRequestError(
            f"{directory}: no image file in this directory ({' '.join(IMAGE_SUFFIXES)})"
        )


def walked(directory: str) -> Iterator[str]:
    """As ``images_in``, and nothing where there is no image."""
    try:
        with os.scandir(directory) as entries:
            # A directory's files are named with a slash behind it, so that is how it is sorted.
            names = sorted(
                entry.name + os.sep if entry.is_dir() else entry.name
                for entry in entries
                if not (entry.is_dir() and entry.is_symlink())
            )
    except OSError as error:
        raise InvalidRequestError(f"{directory}: can't be read: {error.strerror}") from None
    for name in names:
        path = directory + name if directory.endswith(os.sep) else directory + os.sep + name
        if name.endswith(os.sep):
            yield from walked(path.removesuffix(os.sep))
        elif Path(name).suffix.lower() in IMAGE_SUFFIXES:
            yield path


def _hint(path: str) -> str:
    if path.startswith("data:"):
        return "; base64 is not taken here"
    return "; only http and https URLs are read" if "://" in path else ""
