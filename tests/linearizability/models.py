"""A gallery as a sequential object.

Results as recorded: ``add``, ``remove`` and ``build`` (ids, size after it), ``search`` ids in
ascending order, ``drop`` None; or a word: "absent" where the gallery is not there, "exists" where
``build`` found one. Arguments: labels for ``add`` and ``build``, ids for ``remove``, a label or
None for everything for ``search``, None for ``drop``.
"""

from __future__ import annotations

import bisect
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple, cast

from .history import Operation
from .ordering import State

ABSENT = "absent"
EXISTS = "exists"


class Gallery(NamedTuple):
    """``templates``: (id, label) of each. None stands for a gallery that is not there.

    No generation: of an earlier one nothing may be seen any more, ids included.
    """

    templates: frozenset[tuple[int, str]] = frozenset()
    next_id: int = 0


class GalleryModel:
    """Starts there and empty. See ``ordering.Model``."""

    start: Gallery | None = Gallery()

    def __init__(self, operations: Sequence[Operation]) -> None:
        self._facts = Facts(operations)

    @property
    def initial(self) -> State:
        return self.start

    def step(self, state: State, operation: Operation) -> Iterable[State]:
        gallery = cast(Gallery | None, state)
        if not operation.known and self._facts.contradict(gallery, operation):
            return ()
        result, following = _apply(gallery, operation)
        return (following,) if not operation.known or result == _told(operation) else ()

    def reads(self, operation: Operation) -> bool:
        if operation.kind == "search" or operation.result in {ABSENT, EXISTS}:
            return True
        return operation.kind in {"add", "remove"} and operation.result[0] == ()

    def forbids(self, state: State, following: State) -> int:
        return self._facts.forbidden(cast(Gallery | None, state), cast(Gallery | None, following))

    def expected(self, state: State, operation: Operation) -> str:
        return str(_apply(cast(Gallery | None, state), operation)[0])

    def describe(self, state: State) -> str:
        gallery = cast(Gallery | None, state)
        if gallery is None:
            return ABSENT
        held = ", ".join(f"{number} {label}" for number, label in sorted(gallery.templates))
        return f"{{{held}}}, next id {gallery.next_id}"


class UnbuiltGalleryModel(GalleryModel):
    """Starts absent: the history tells its building."""

    start = None


def _told(operation: Operation) -> object:
    if operation.kind == "remove" and isinstance(operation.result, tuple):
        ids, count = operation.result
        return tuple(sorted(ids)), count
    return operation.result


def _apply(gallery: Gallery | None, operation: Operation) -> tuple[object, Gallery | None]:
    """What it answers, and the gallery after it."""
    argument = operation.argument
    if operation.kind == "build":
        return (EXISTS, gallery) if gallery is not None else _add(Gallery(), argument)
    if gallery is None:
        return ABSENT, None
    if operation.kind == "add":
        return _add(gallery, argument)
    if operation.kind == "remove":
        wanted = set(argument)
        gone = frozenset(pair for pair in gallery.templates if pair[0] in wanted)
        left = gallery.templates - gone
        following = Gallery(left, gallery.next_id) if gone else gallery
        return (tuple(sorted(number for number, _ in gone)), len(left)), following
    if operation.kind == "search":
        found = (n for n, label in gallery.templates if argument is None or label == argument)
        return tuple(sorted(found)), gallery
    if operation.kind == "drop":
        return None, None
    raise ValueError(f"no operation of a gallery: {operation.kind}")


def _add(gallery: Gallery, labels: Sequence[str]) -> tuple[object, Gallery]:
    ids = tuple(range(gallery.next_id, gallery.next_id + len(labels)))
    templates = gallery.templates.union(zip(ids, labels, strict=True))
    return (ids, len(templates)), Gallery(templates, gallery.next_id + len(labels))


class Facts:
    """What the answers of a history say wherever they are placed. Only shortens the search.

    Holds while an id means one template, so not where galleries are built or dropped.
    """

    def __init__(self, operations: Sequence[Operation]) -> None:
        self._hold = all(o.kind in {"add", "remove", "search"} for o in operations)
        self._acknowledged: dict[int, str] = {}
        self._removable: set[int] = set()
        self._seeing: dict[int, int] = {}
        self._searches: dict[str | None, int] = {}
        self._starts: list[int] = []
        for number, operation in enumerate(operations if self._hold else ()):
            self._note(1 << number, operation)
        self._starts.sort()

    def _note(self, bit: int, operation: Operation) -> None:
        if operation.kind == "remove":
            self._removable.update(operation.argument)
        if not operation.known or operation.result == ABSENT:
            return
        seen: Sequence[int] = ()
        if operation.kind == "add":
            ids = operation.result[0]
            self._acknowledged |= dict(zip(ids, operation.argument, strict=False))
            self._starts += ids[:1]
        elif operation.kind == "remove":
            seen = operation.result[0]
        else:
            seen = operation.result
            label = operation.argument
            self._searches[label] = self._searches.get(label, 0) | bit
        for number in seen:
            self._seeing[number] = self._seeing.get(number, 0) | bit

    def contradict(self, gallery: Gallery | None, operation: Operation) -> bool:
        """Whether an add of unknown outcome would take ids that were acknowledged to another."""
        if not self._hold or gallery is None or operation.kind != "add":
            return False
        position = bisect.bisect_left(self._starts, gallery.next_id)
        end = gallery.next_id + len(operation.argument)
        if position < len(self._starts) and self._starts[position] < end:
            return True
        return gallery.next_id in self._acknowledged

    def forbidden(self, gallery: Gallery | None, following: Gallery | None) -> int:
        """Operations that see what is gone for good or miss what stays for good."""
        if not self._hold or gallery is None or following is None:
            return 0
        forbidden = 0
        for number, _ in gallery.templates - following.templates:
            forbidden |= self._seeing.get(number, 0)
        for number, label in _new(gallery, following):
            if number not in self._removable:
                searches = self._searches.get(label, 0) | self._searches.get(None, 0)
                forbidden |= searches & ~self._seeing.get(number, 0)
        return forbidden


def _new(gallery: Gallery, following: Gallery) -> Iterator[tuple[int, str]]:
    if following.next_id > gallery.next_id:
        yield from following.templates - gallery.templates
