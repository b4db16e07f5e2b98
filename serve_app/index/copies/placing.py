"""Putting a finished file or directory in its place: all of it or nothing, and durably.

Errors of the file system become UnavailableError, which names the target without its directory.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path

from serve_app.errors import InvalidRequestError, UnavailableError


@contextlib.contextmanager
def new_directory(target: Path) -> Iterator[Path]:
    """A private directory beside ``target`` that becomes it, unless an error ends the block.

    Raises InvalidRequestError if ``target`` exists and is not an empty directory.
    """
    _refuse_taken(target)
    made = _unfinished(target)
    with _named(target):
        target.absolute().parent.mkdir(parents=True, exist_ok=True)
        made.mkdir(mode=0o700)  # faces are biometric data
        try:
            yield made
            for file in made.iterdir():
                file.chmod(0o600)
                _sync(file)
            _sync(made)
            _refuse_taken(target)
            made.rename(target)
        except BaseException:
            shutil.rmtree(made, ignore_errors=True)
            raise
        _sync(target.absolute().parent)


@contextlib.contextmanager
def new_file(target: Path, *, force: bool = False) -> Iterator[Path]:
    """The path of a private, empty file beside ``target`` that becomes it, unless an error ends the
    block. Files whose names begin with its own are removed then too.

    Raises InvalidRequestError if ``target`` exists, unless ``force``.
    """
    _refuse_existing(target, force)
    made = _unfinished(target)
    with _named(target):
        target.absolute().parent.mkdir(parents=True, exist_ok=True)
        os.close(os.open(made, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        try:
            yield made
            _sync(made)
            _refuse_existing(target, force)
            made.replace(target)
        finally:
            for left in made.parent.glob(f"{made.name}*"):
                left.unlink(missing_ok=True)
        _sync(target.absolute().parent)


def _unfinished(target: Path) -> Path:
    return target.absolute().with_name(f".{target.name}.{secrets.token_hex(4)}.part")


def _refuse_taken(target: Path) -> None:
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise InvalidRequestError(f"{target.name} exists already: name a new directory")


def _refuse_existing(target: Path, force: bool) -> None:
    if target.is_dir():
        raise InvalidRequestError(f"{target.name} is a directory: name a file")
    if target.exists() and not force:
        raise InvalidRequestError(f"{target.name} exists already: name another, or use --force")


@contextlib.contextmanager
def _named(target: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        why = error.strerror or type(error).__name__
        raise UnavailableError(f"{target.name} can't be written: {why}") from None


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
