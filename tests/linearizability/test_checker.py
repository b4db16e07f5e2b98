"""The checker takes what could have been and rejects what could not, planted or mutated."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from .checker import Outcome, Verdict, check, require_linearizable, until
from .history import History, Operation
from .models import ABSENT, EXISTS, GalleryModel, UnbuiltGalleryModel
from .ordering import Model


def op(kind: str, argument: Any, result: Any, invoked: int, returned: int | None) -> Operation:
    return Operation(0, "staff", kind, argument, result, invoked, returned)


def add(labels: str, first: int, count: int, invoked: int, returned: int | None) -> Operation:
    """Adds a label a letter, told the ids from ``first`` on."""
    ids = tuple(range(first, first + len(labels)))
    return op("add", tuple(labels), (ids, count), invoked, returned)


def lost(labels: str, invoked: int) -> Operation:
    return op("add", tuple(labels), None, invoked, None)


def remove(
    ids: tuple[int, ...], gone: tuple[int, ...], count: int, invoked: int, returned: int
) -> Operation:
    return op("remove", ids, (gone, count), invoked, returned)


def search(label: str | None, found: tuple[int, ...], invoked: int, returned: int) -> Operation:
    return op("search", label, found, invoked, returned)


def verdict(*operations: Operation, model: type[Model] = GalleryModel) -> Verdict:
    (only,) = check(History.of(operations), model)
    return only


ACCEPTED = {
    "nothing but a search": [search(None, (), 0, 1)],
    "serial": [
        add("ab", 0, 2, 0, 1),
        search("a", (0,), 2, 3),
        remove((0, 7), (0,), 1, 4, 5),
        remove((0,), (), 1, 6, 7),
        search(None, (1,), 8, 9),
        add("a", 2, 2, 10, 11),
    ],
    "a search beside an add sees it": [add("a", 0, 1, 0, 10), search("a", (0,), 1, 2)],
    "a search beside an add does not": [add("a", 0, 1, 0, 10), search("a", (), 1, 2)],
    "the later call is first": [add("a", 1, 2, 0, 10), add("b", 0, 1, 1, 9)],
    "equal times are concurrent": [add("a", 0, 1, 0, 5), search("a", (), 5, 6)],
    "two removals of one id": [
        add("a", 0, 1, 0, 1),
        remove((0,), (0,), 0, 2, 9),
        remove((0,), (), 0, 3, 8),
    ],
    "a lost add is seen": [lost("a", 0), search("a", (0,), 1, 2), search("a", (0,), 3, 4)],
    "a lost add is never seen": [lost("a", 0), search("a", (), 1, 2), add("b", 0, 1, 3, 4)],
    "a lost add is seen late": [
        lost("a", 0),
        search("a", (), 1, 2),
        add("b", 0, 1, 3, 4),
        search(None, (0, 1), 5, 6),
    ],
    "of two lost adds the second": [
        lost("a", 0),
        lost("b", 1),
        search(None, (0,), 2, 3),
        search("b", (0,), 4, 5),
    ],
    "a removal lost and found": [
        add("a", 0, 1, 0, 1),
        op("remove", (0,), None, 2, None),
        search("a", (0,), 3, 4),
        search("a", (), 5, 6),
    ],
}

REJECTED = {
    "a search misses an acknowledged add": [add("a", 0, 1, 0, 1), search("a", (), 2, 3)],
    "a search sees an acknowledged removal": [
        add("a", 0, 1, 0, 1),
        remove((0,), (0,), 0, 2, 3),
        search("a", (0,), 4, 5),
    ],
    "a search sees what was not called yet": [search("a", (0,), 0, 1), add("a", 0, 1, 2, 3)],
    "seen, then not": [
        add("a", 0, 1, 0, 10),
        search("a", (0,), 1, 2),
        search("a", (), 3, 4),
    ],
    "of another label": [add("a", 0, 1, 0, 1), search("b", (0,), 2, 3)],
    "a lost acknowledged add": [
        add("a", 0, 1, 0, 1),
        add("b", 1, 2, 2, 3),
        search(None, (1,), 4, 5),
    ],
    "two adds, one id": [add("a", 0, 1, 0, 10), add("b", 0, 1, 1, 9)],
    "an id again after its removal": [
        add("a", 0, 1, 0, 1),
        remove((0,), (0,), 0, 2, 3),
        add("b", 0, 1, 4, 5),
    ],
    "an id left out": [add("a", 1, 1, 0, 1)],
    "a wrong count": [add("a", 0, 1, 0, 1), add("b", 1, 3, 2, 3)],
    "removed twice": [
        add("a", 0, 1, 0, 1),
        remove((0,), (0,), 0, 2, 9),
        remove((0,), (0,), 0, 3, 8),
    ],
    "shards: a later change without an earlier acknowledged one": [
        search(None, (1,), 0, 20),
        add("a", 0, 1, 1, 2),
        add("b", 1, 2, 3, 4),
    ],
    "shards: a later removal without an earlier one": [
        add("abc", 0, 3, 0, 1),
        search(None, (0, 2), 2, 20),
        remove((0,), (0,), 2, 3, 4),
        remove((1,), (1,), 1, 5, 6),
    ],
    "shards: two readers, two orders": [
        add("a", 0, 1, 0, 20),
        add("b", 1, 2, 0, 20),
        search(None, (1,), 1, 19),
    ],
    "half of an add": [add("ab", 0, 2, 0, 20), search(None, (0,), 1, 19)],
    "a retried add done twice": [add("a", 1, 2, 0, 5), search("a", (0, 1), 6, 7)],
    "a lost add done twice": [lost("a", 0), search("a", (0, 1), 1, 2)],
    "a lost add seen before its call": [search("a", (0,), 0, 1), lost("a", 2)],
    "a lost add seen, then not": [
        lost("a", 0),
        search("a", (0,), 1, 2),
        search("a", (), 3, 4),
    ],
    "a lost add takes an acknowledged id": [
        lost("a", 0),
        add("b", 0, 1, 1, 2),
        search("a", (0,), 3, 4),
    ],
}


@pytest.mark.parametrize("case", ACCEPTED)
def test_accepts(case: str) -> None:
    found = verdict(*ACCEPTED[case])
    assert found.outcome is Outcome.LINEARIZABLE, found.explanation
    assert found.explanation == ""


@pytest.mark.parametrize("case", REJECTED)
def test_rejects(case: str) -> None:
    assert verdict(*REJECTED[case]).outcome is Outcome.VIOLATION


def built(invoked: int, returned: int) -> Operation:
    return op("build", ("a",), ((0,), 1), invoked, returned)


def test_a_gallery_comes_and_goes() -> None:
    life = [
        op("search", "a", ABSENT, 0, 1),
        built(2, 3),
        op("build", ("b",), EXISTS, 4, 5),
        op("add", ("b",), ((1,), 2), 6, 7),
        op("drop", None, None, 8, 9),
        op("drop", None, ABSENT, 10, 11),
        op("add", ("b",), ABSENT, 12, 13),
        built(14, 15),
        search(None, (0,), 16, 17),
    ]
    assert verdict(*life, model=UnbuiltGalleryModel).outcome is Outcome.LINEARIZABLE
    stale = [*life[:-1], search(None, (0, 1), 16, 17)]  # the earlier generation's
    assert verdict(*stale, model=UnbuiltGalleryModel).outcome is Outcome.VIOLATION
    twice = [*life[:2], built(4, 5)]
    assert verdict(*twice, model=UnbuiltGalleryModel).outcome is Outcome.VIOLATION


def test_galleries_are_checked_alone() -> None:
    right = replace(add("a", 0, 1, 0, 1), gallery="left")
    wrong = replace(search("a", (0,), 2, 3), gallery="right")
    found = {v.gallery: v.outcome for v in check(History.of([wrong, right]), GalleryModel)}
    assert found == {"left": Outcome.LINEARIZABLE, "right": Outcome.VIOLATION}


def test_the_explanation_stops_where_it_went_wrong() -> None:
    later = [add("b", 1, 2, 100, 200), search("b", (1,), 300, 301)]
    found = verdict(add("a", 0, 1, 0, 1), search("a", (), 2, 3), *later)
    assert found.explanation.splitlines() == [
        "gallery 'staff' is not linearizable: of the first 2 operations that returned, 1 have an "
        "order that ends with",
        "    client 0 add ('a',) [0.000 .. 0.000] answered ((0,), 1)",
        "  after which it is: {0 a}, next id 1",
        "  and none can be next of",
        "    client 0 search a [0.000 .. 0.000] answered (); would be (0,)",
    ]


def test_the_explanation_names_what_is_unknown() -> None:
    found = verdict(
        lost("a", 0), op("search", "a", None, 0, None), search("b", (0,), 1, 2), lost("b", 9)
    )
    assert "unknown whether and when these took effect\n    client 0 add ('a',) [0.000 ..]" in (
        found.explanation
    )
    assert "search a" not in found.explanation  # it changes nothing, whatever became of it


def test_until_forgets_the_answers_that_came_later() -> None:
    first, second, third = add("a", 0, 1, 0, 5), add("b", 1, 2, 3, 9), search("a", (0,), 8, 9)
    assert until([first, second, third], 6) == [first, lost("b", 3)]


def test_undecided_is_a_failure() -> None:
    operations = [add("a", n, n + 1, 0, 100) for n in range(20)]
    (bounded,) = check(History.of(operations), GalleryModel, most=5)
    assert bounded.outcome is Outcome.UNDECIDED
    with pytest.raises(AssertionError, match="undecided"):
        require_linearizable(History.of(HARD), GalleryModel, seconds=0.0)


HARD = [op("remove", (n,), ((), 0), 0, 100) for n in range(9)] + [
    op("add", ("a",), ((n,), n + 1), 0, 10_000) for n in range(400)
]
"""More configurations than there are between two looks at the clock."""


def test_a_failing_history_is_kept(tmp_path: Path) -> None:
    history = History.of([add("a", 0, 1, 0, 1), search("a", (), 2, 3)])
    kept = tmp_path / "history.json"
    with pytest.raises(AssertionError, match="would be"):
        require_linearizable(history, GalleryModel, keep=kept)
    assert History.load(kept) == history
    kept.unlink()
    require_linearizable(History.of(history.operations[:1]), GalleryModel, keep=kept)
    assert not kept.exists()
