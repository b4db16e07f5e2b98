"""Putting a finished file or directory in its place: all of it or nothing, and durably.

Errors of the file system become UnavailableError, which names the target without its directory.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

from serve_app.errors import InvalidRequestError, UnavailableError

FINISHED = ".face_serve.new"
"""Files in here are those of the directory above it, whatever else lies there."""

Place = Callable[[str], Path]
"""Where the file of a name is to be read."""


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
            _complete(made)
            _refuse_taken(target)
            made.rename(target)
        except BaseException:
            shutil.rmtree(made, ignore_errors=True)
            raise
        _sync(target.absolute().parent)


@contextlib.contextmanager
def new_files(directory: Path) -> Iterator[Path]:
    """A private directory whose files become those of the same names in ``directory``, unless an
    error ends the block. ``directory`` is there already; what else it holds is left alone.

    Whoever reads through ``settled`` finds the old files or the new ones, also after a crash.
    Others may find a file missing for a moment, but not some of each.
    """
    made = directory.absolute() / f".face_serve.{secrets.token_hex(4)}.part"
    with _named(directory):
        made.mkdir(mode=0o700)
        try:
            yield made
            _complete(made)
            with _locked(directory, fcntl.LOCK_EX):
                _settle(directory)  # what a crash left
                made.rename(directory / FINISHED)  # from here on the new ones count
                _sync(directory)
                _settle(directory)
        except BaseException:
            shutil.rmtree(made, ignore_errors=True)
            raise


@contextlib.contextmanager
def settled(directory: Path) -> Iterator[Place]:
    """Where each file of ``directory`` is; nobody's ``new_files`` change that meanwhile.

    Raises InvalidRequestError if it is no directory or can't be read.
    """
    name = directory.name or str(directory)
    try:
        if not directory.is_dir():
            raise InvalidRequestError(f"{name} is not a directory")
        os.scandir(directory).close()
    except OSError as error:
        raise InvalidRequestError(f"{name} can't be read: {error.strerror}") from None

    def place(name: str) -> Path:
        finished = directory / FINISHED / name
        return finished if finished.is_file() else directory / name

    with _locked(directory, fcntl.LOCK_SH):
        yield place


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


def _complete(made: Path) -> None:
    for file in made.iterdir():
        file.chmod(0o600)
        _sync(file)
    _sync(made)


def _settle(directory: Path) -> None:
    """Put finished files in their places, if there are any."""
    finished = directory / FINISHED
    if not finished.is_dir():
        return
    names = [file.name for file in finished.iterdir()]
    for name in names:  # all of them first: a mixture could be taken for something whole
        (directory / name).unlink(missing_ok=True)
    for name in names:
        (finished / name).rename(directory / name)
    finished.rmdir()
    _sync(directory)


@contextlib.contextmanager
def _locked(directory: Path, how: int) -> Iterator[None]:
    """Some network file systems have no locks: then it is not locked."""
    handle = os.open(directory, os.O_RDONLY)
    try:
        with contextlib.suppress(OSError):
            fcntl.flock(handle, how)
        yield
    finally:
        os.close(handle)


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
