"""A store that does not answer for a while: another has its file for itself."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.index.samples import locked


@contextmanager
def away(file: Path, seconds: float = 60) -> Iterator[None]:
    """Until the end of the block, ``seconds`` at most; SQLite's connections are a thread's own."""
    gone, back = threading.Event(), threading.Event()

    def hold() -> None:
        with locked(file):
            gone.set()
            back.wait(seconds)

    thread = threading.Thread(target=hold)
    thread.start()
    try:
        assert gone.wait(10), "the file could not be locked"
        yield
    finally:
        back.set()
        thread.join()
