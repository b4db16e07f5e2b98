"""Clients that add, remove and search at once on few labels, and the record of it.

Knows no store: what a client talks to (a store in threads, shards, HTTP) is the caller's. Labels
must have orthogonal vectors and searches an exact index, a threshold and a large enough k, so that
a search finds exactly the templates of its label.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from .history import History, Recorder
from .models import ABSENT, EXISTS

LABELS = ("anna", "ben", "carla", "david")
LARGEST = 60
"""Templates above which more is removed than added: large galleries make slow searches."""


class Unknown(Exception):  # noqa: N818 - an outcome, not an error
    """Nobody knows whether it was done, or will be: a 503, a broken connection, a kill."""


class Refused(Exception):  # noqa: N818 - an outcome, not an error
    """Certainly not done, and says nothing about the gallery: a 429, say."""


class Absent(Exception):  # noqa: N818 - an outcome, not an error
    """Not done because the gallery was not there at that moment: this is checked."""


class Exists(Exception):  # noqa: N818 - an outcome, not an error
    """Not built because the gallery was there already: this is checked."""


class Client(Protocol):
    """One client of one gallery, used by one thread. Every method may raise ``Unknown``,
    ``Refused`` or ``Absent``; anything else ends the scenario."""

    def add(self, labels: Sequence[str]) -> tuple[Sequence[int], int]:
        """Ids in the order of ``labels``, and the gallery's size after it."""
        ...

    def remove(self, ids: Sequence[int]) -> tuple[Sequence[int], int]:
        """Ids that were there, and the gallery's size after it."""
        ...

    def search(self, label: str | None) -> Iterable[int]:
        """Ids of the label, or, in one atomic read, of everything."""
        ...


@runtime_checkable
class Builder(Client, Protocol):
    """A client that can also make and end the gallery; ``build`` may raise ``Exists``."""

    def build(self, labels: Sequence[str]) -> tuple[Sequence[int], int]: ...

    def drop(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Mix:
    """How often each is done, as weights. ``build`` and ``drop`` need a ``Builder``."""

    add: int = 6
    remove: int = 5
    search: int = 6
    everything: int = 3
    build: int = 0
    drop: int = 0


def run(
    make_client: Callable[[int], Client],
    *,
    clients: int = 8,
    operations: int = 60,
    seconds: float = 60.0,
    seed: int = 0,
    gallery: str = "gallery",
    mix: Mix | None = None,
) -> History:
    """``operations`` a client or ``seconds``, whichever ends first, then a look at everything.

    ``make_client`` is called in each client's thread with its number, and once more with
    ``clients`` for the last look. With the default mix the gallery is there, empty and never
    used before (``GalleryModel``); a mix with ``build`` wants it absent (``UnbuiltGalleryModel``).
    """
    recorder = Recorder()
    shared = _Seen()
    start = threading.Barrier(clients, timeout=60)
    deadline = time.monotonic() + seconds

    def work(number: int) -> None:
        chance = random.Random(f"{seed} {number}")
        try:
            client = _Recorded(make_client(number), number, gallery, recorder, shared)
            start.wait()
        except BaseException:
            start.abort()  # or the others would wait for one that never comes
            raise
        for _ in range(operations):
            if time.monotonic() > deadline:
                break
            client.act(chance, mix or Mix())

    with ThreadPoolExecutor(clients, thread_name_prefix="client") as pool:
        futures = [pool.submit(work, number) for number in range(clients)]
    failures = [failure for future in futures if (failure := future.exception()) is not None]
    for failure in sorted(failures, key=lambda f: isinstance(f, threading.BrokenBarrierError)):
        raise failure
    last = _Recorded(make_client(clients), clients, gallery, recorder, shared)
    for label in (None, *LABELS):
        last.do("search", label)
    return recorder.history()


class _Seen:
    """Ids that any client was told, the newest last: what is worth removing."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._ids: list[int] = []

    def note(self, ids: Iterable[int]) -> None:
        with self._lock:
            self._ids += [number for number in ids if number not in self._ids]

    def gone(self, ids: Iterable[int]) -> None:
        with self._lock:
            self._ids = [number for number in self._ids if number not in set(ids)]

    def some(self, chance: random.Random, count: int) -> list[int]:
        with self._lock:
            return chance.sample(self._ids, min(count, len(self._ids)))

    def __len__(self) -> int:
        return len(self._ids)


class _Recorded:
    """A client whose calls are recorded."""

    def __init__(
        self, client: Client, number: int, gallery: str, recorder: Recorder, seen: _Seen
    ) -> None:
        self._client = client
        self._number = number
        self._gallery = gallery
        self._recorder = recorder
        self._seen = seen

    def act(self, chance: random.Random, mix: Mix) -> None:
        """One operation by chance."""
        full = len(self._seen) > LARGEST
        weights = {
            "add": mix.add // 3 if full else mix.add,
            "remove": mix.remove,
            "search": mix.search,
            "everything": mix.everything,
            "build": mix.build,
            "drop": mix.drop,
        }
        kind = chance.choices(list(weights), list(weights.values()))[0]
        if kind in {"add", "build"}:
            self.do(kind, tuple(chance.choices(LABELS, k=chance.choice([1, 1, 2, 3]))))
        elif kind == "remove":
            # Sometimes ids that are gone or not there yet: they must change nothing.
            extra = [chance.randrange(200)] if chance.random() < 0.2 else []
            self.do(kind, (*self._seen.some(chance, chance.choice([1, 1, 2, 3])), *extra))
        elif kind == "search":
            self.do(kind, chance.choice(LABELS))
        elif kind == "everything":
            self.do("search", None)
        else:
            self.do(kind, None)

    def do(self, kind: str, argument: Any) -> None:
        number = self._recorder.call(self._number, self._gallery, kind, argument)
        result: Any
        try:
            result = self._call(kind, argument)
        except Unknown:
            return
        except Refused:
            self._recorder.forget(number)
            return
        except Absent:
            result = ABSENT
        except Exists:
            result = EXISTS
        self._recorder.complete(number, result)
        self._learn(kind, result)

    def _call(self, kind: str, argument: Any) -> Any:
        client = self._client
        if kind == "search":
            return tuple(sorted(client.search(argument)))
        if kind == "add":
            ids, count = client.add(argument)
            return tuple(ids), count
        if kind == "remove":
            ids, count = client.remove(argument)
            return tuple(ids), count
        assert isinstance(client, Builder), f"{kind} needs a client that is a Builder"
        if kind == "build":
            ids, count = client.build(argument)
            return tuple(ids), count
        client.drop()
        return None

    def _learn(self, kind: str, result: Any) -> None:
        if kind in {"add", "build"} and isinstance(result, tuple):
            self._seen.note(result[0])
        elif kind == "remove" and isinstance(result, tuple):
            self._seen.gone(result[0])
        elif kind == "search" and isinstance(result, tuple):
            self._seen.note(result)
