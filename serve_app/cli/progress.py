"""What is to be seen while pictures are worked on: lines, a bar where it disturbs nobody, and what
was left out. Knows tqdm and the log of the pipeline; nothing of results."""

from __future__ import annotations

import logging
import os
import stat
import sys
from collections.abc import Callable
from types import TracebackType
from typing import Self

from tqdm import tqdm

from serve_app.cli.output import printable


class Progress(logging.Handler):
    """Within it the pipeline's warnings (pictures that are left out) are lines on standard error.

    ``count``: how many pictures there will be, asked only for a bar. ``saving``: results go to
    files too, so the lines are not all there is to see.
    """

    def __init__(self, count: Callable[[], int | None], *, saving: bool) -> None:
        super().__init__(logging.WARNING)
        self.left_out = 0
        shown = _may_show_bar(saving)
        self._bar = tqdm(
            total=count() if shown else None, unit=" pictures", disable=not shown, file=sys.stderr
        )
        self._log = logging.getLogger("serve_app.pipeline")

    def print(self, line: str) -> None:
        """Written at once, and above the bar: somebody may wait for it."""
        tqdm.write(line, file=sys.stdout)
        sys.stdout.flush()

    def step(self) -> None:
        self._bar.update()

    def emit(self, record: logging.LogRecord) -> None:
        self.left_out += 1
        tqdm.write(f"face-serve: {printable(record.getMessage())}", file=sys.stderr)

    def __enter__(self) -> Self:
        self._log.addHandler(self)
        self._log.propagate = False
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._log.removeHandler(self)
        self._log.propagate = True
        self._bar.close()


def _may_show_bar(saving: bool) -> bool:
    """Only on a terminal, and not where the lines themselves, or whoever reads them from a pipe
    (``less``, ``grep``), write to that terminal."""
    if not sys.stderr.isatty():
        return False
    if sys.stdout.isatty():
        return saving
    return not stat.S_ISFIFO(os.fstat(sys.stdout.fileno()).st_mode)
