"""A bar on the terminal while an archive is downloaded; nothing where stderr is none."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tqdm import tqdm

Progress = Callable[[int, int | None], None]
"""Bytes that are there, and all that there will be, if that is known."""


@contextmanager
def progress_bar(name: str) -> Iterator[Progress]:
    with tqdm(desc=name, unit="B", unit_scale=True, unit_divisor=1000, disable=None) as bar:

        def show(done: int, total: int | None) -> None:
            bar.total = total
            bar.update(done - bar.n)

        yield show
