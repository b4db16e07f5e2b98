"""Where results are written: directories and files as a caller names them, names that are given out
once, and files that appear whole."""

from __future__ import annotations

import os
import secrets
import threading
from pathlib import Path

from serve_app.errors import UnavailableError


class SavedNames:
    """Names of files that the results of one call of ``predict`` have in a directory. Any thread
    may ask."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._taken: set[int] = set()  # hashes: a long call has many names

    def claim(self, directory: Path, stem: str) -> str:
        """``stem``, or the first of ``stem_2``, ``stem_3``... that nobody has there."""
        with self._lock:
            name, number = stem, 1
            while (taken := hash((str(directory), name))) in self._taken:
                number += 1
                name = f"{stem}_{number}"
            self._taken.add(taken)
        return name


def is_directory(save_path: str | Path) -> bool:
    """Whether a caller means a directory: it is one, ends with a slash or has no suffix."""
    text = os.fspath(save_path)
    return text.endswith(("/", os.sep)) or not Path(text).suffix or Path(text).is_dir()


def write_whole(target: Path, content: bytes) -> None:
    """Write a file under its name when all of it is there; directories are made.

    Raises UnavailableError that names the file, not its directory.
    """
    made = target.with_name(f".{secrets.token_hex(8)}.part")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            made.write_bytes(content)
            made.replace(target)
        finally:
            made.unlink(missing_ok=True)
    except (FileExistsError, NotADirectoryError):
        raise UnavailableError(
            f"{target.name} can't be written: what should be its directory is a file"
        ) from None
    except OSError as error:
        raise UnavailableError(f"{target.name} can't be written: {error.strerror}") from None
