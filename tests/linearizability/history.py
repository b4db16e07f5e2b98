"""What clients asked, what they were told and when: recorded, kept as JSON, read again.

Owns no judgement: ``checker`` says whether a history could be, ``models`` what its operations mean.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

FORMAT = 1


@dataclass(frozen=True, slots=True)
class Operation:
    """One call of one client on one gallery.

    ``argument`` and ``result`` are None, numbers, strings or tuples of such, so that they hash and
    JSON holds them. ``invoked`` and ``returned`` are nanoseconds of ``time.monotonic_ns``, which on
    Linux is one clock for all processes. ``returned`` None: nobody knows what became of it (it
    took effect at some time after ``invoked``, maybe long after the client gave up, or never);
    ``result`` is None then and means nothing.
    """

    client: int
    gallery: str
    kind: str
    argument: Any
    result: Any
    invoked: int
    returned: int | None

    @property
    def known(self) -> bool:
        return self.returned is not None


@dataclass(frozen=True, slots=True)
class History:
    """Operations in the order of their calls."""

    operations: tuple[Operation, ...]

    @classmethod
    def of(cls, *parts: Iterable[Operation]) -> History:
        """One history of several recordings of one clock."""
        operations = [operation for part in parts for operation in part]
        return cls(tuple(sorted(operations, key=lambda operation: operation.invoked)))

    def by_gallery(self) -> dict[str, tuple[Operation, ...]]:
        """Each gallery's own operations: a history is linearizable if each of these is."""
        parts: dict[str, list[Operation]] = {}
        for operation in sorted(self.operations, key=lambda operation: operation.invoked):
            parts.setdefault(operation.gallery, []).append(operation)
        return {gallery: tuple(part) for gallery, part in parts.items()}

    def dump(self, file: Path) -> None:
        """Write the history; overwrites."""
        rows = [asdict(operation) for operation in self.operations]
        lines = ",\n".join(json.dumps(row) for row in rows)
        file.write_text(f'{{"format": {FORMAT}, "operations": [\n{lines}\n]}}\n', encoding="utf-8")

    @classmethod
    def load(cls, file: Path) -> History:
        """Read what ``dump`` wrote. Raises ValueError for another format."""
        read = json.loads(file.read_text(encoding="utf-8"))
        if read.get("format") != FORMAT:
            raise ValueError(f"{file.name} is of format {read.get('format')}, not {FORMAT}")
        return cls.of(
            Operation(**{name: frozen(value) for name, value in row.items()})
            for row in read["operations"]
        )


def frozen(value: Any) -> Any:
    """Lists as tuples, all the way down: JSON knows no tuples."""
    return tuple(frozen(part) for part in value) if isinstance(value, list | tuple) else value


class Recorder:
    """Thread-safe. What was called and never completed is of unknown outcome."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._operations: dict[int, Operation] = {}
        self._called = 0

    def call(self, client: int, gallery: str, kind: str, argument: Any) -> int:
        """Note that the call is about to be made; the number to complete or forget it by."""
        with self._lock:
            number = self._called
            self._called += 1
            # Read after the wait for the lock: an earlier time would excuse more than is right.
            self._operations[number] = Operation(
                client, gallery, kind, frozen(argument), None, time.monotonic_ns(), None
            )
        return number

    def complete(self, number: int, result: Any) -> None:
        """The call returned just now."""
        returned = time.monotonic_ns()
        with self._lock:
            called = self._operations[number]
            self._operations[number] = replace(called, result=frozen(result), returned=returned)

    def forget(self, number: int) -> None:
        """The call was certainly not carried out and told nothing about the gallery."""
        with self._lock:
            del self._operations[number]

    def history(self) -> History:
        with self._lock:
            return History.of(self._operations.values())
