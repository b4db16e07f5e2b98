"""Work on a stream in several threads, answers in order, with a bound on what is under way."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
Answer = TypeVar("Answer")


def stream(
    items: Iterable[Item],
    work: Callable[[list[Item]], list[Answer]],
    *,
    workers: int,
    chunk: int,
) -> Iterator[Answer]:
    """An answer for each item, in their order. ``work`` gets up to ``chunk`` items at once.

    ``items`` is read as far ahead as keeps ``workers`` threads busy: memory does not grow with its
    length. One worker is the calling thread. An error, of ``work`` or of ``items`` itself, is
    raised when its turn comes and ends the stream; whoever stops reading ends it too.
    """
    chunks = _Chunks(items, chunk)
    if workers == 1:
        for part in chunks:
            yield from work(part)
    else:
        yield from _threaded(chunks, work, workers)
    if chunks.error is not None:
        raise chunks.error


def _threaded(
    chunks: Iterable[list[Item]], work: Callable[[list[Item]], list[Answer]], workers: int
) -> Iterator[Answer]:
    waiting: deque[Future[list[Answer]]] = deque()
    pool = ThreadPoolExecutor(workers, thread_name_prefix="predict")
    try:
        for part in chunks:
            waiting.append(pool.submit(work, part))
            if len(waiting) > 2 * workers:
                yield from waiting.popleft().result()
        while waiting:
            yield from waiting.popleft().result()
    finally:
        # Without waiting: who stops reading may be the garbage collector, in any thread, one of
        # these among them, with a lock in its hands that they wait for.
        pool.shutdown(wait=False, cancel_futures=True)


class _Chunks(Iterable[list[Item]]):
    """Lists of up to ``size`` items. An error of the source ends them, and is kept: what came
    before it is to be answered first."""

    def __init__(self, items: Iterable[Item], size: int) -> None:
        self._items = items
        self._size = size
        self.error: Exception | None = None

    def __iter__(self) -> Iterator[list[Item]]:
        part: list[Item] = []
        source = iter(self._items)
        while True:
            try:
                part.append(next(source))
            except StopIteration:
                break
            except Exception as error:
                self.error = error
                break
            if len(part) == self._size:
                yield part
                part = []
        if part:
            yield part
