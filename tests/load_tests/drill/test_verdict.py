from __future__ import annotations

from dataclasses import replace

from load_tests.drill.journal import Attempt, Kind, Operation
from load_tests.drill.verdict import judge, lives, lost_labels, stale_reads


def operation(
    kind: Kind, begun: float, ended: float, label: str = "", *, good: bool = True, seen: str = ""
) -> Operation:
    name = f"{kind} {begun} {label}"
    return Operation(name, kind, label, begun, begun, ended, good, frozenset(seen.split()))


def stale(*operations: Operation) -> list[str]:
    """Labels by which the reads are found to be stale."""
    reads = [one for one in operations if one.kind == "infer"]
    return [label for _, label in stale_reads(reads, lives(operations))]


ADD = operation("add", 1, 2, "a")
REMOVE = operation("remove", 5, 6, "a")


def test_a_read_sees_what_was_acknowledged_before_it_began() -> None:
    assert stale(ADD, operation("infer", 3, 4, seen="a")) == []
    assert stale(ADD, operation("infer", 3, 4)) == ["a"]


def test_a_read_beside_a_change_sees_it_or_not() -> None:
    assert stale(ADD, operation("infer", 1.5, 4)) == []
    assert stale(ADD, operation("infer", 1.5, 4, seen="a")) == []
    assert stale(ADD, REMOVE, operation("infer", 5.5, 7)) == []
    assert stale(ADD, REMOVE, operation("infer", 5.5, 7, seen="a")) == []


def test_what_was_removed_is_not_seen_again() -> None:
    assert stale(ADD, REMOVE, operation("infer", 7, 8)) == []
    assert stale(ADD, REMOVE, operation("infer", 7, 8, seen="a")) == ["a"]


def test_nobody_is_seen_before_somebody_asked_for_it() -> None:
    assert stale(ADD, operation("infer", 0.1, 0.9, seen="a")) == ["a"]


def test_a_change_without_an_answer_may_have_been_made_or_not() -> None:
    add, remove = replace(ADD, is_good=False), replace(REMOVE, is_good=False)
    assert stale(add, operation("infer", 3, 4)) == []
    assert stale(add, operation("infer", 3, 4, seen="a")) == []
    assert stale(ADD, remove, operation("infer", 9, 10, seen="a")) == []
    assert stale(ADD, remove, operation("infer", 9, 10)) == []


def test_what_one_read_saw_a_later_one_sees_too() -> None:
    add = operation("add", 1, 9, "a")
    saw = operation("infer", 2, 3, seen="a")
    assert stale(add, saw, operation("infer", 4, 5, seen="a")) == []
    assert stale(add, saw, operation("infer", 4, 5)) == ["a"]
    assert stale(add, saw, operation("infer", 2.5, 5)) == []


def test_changes_are_looked_for_everywhere() -> None:
    changes = lives([ADD, operation("add", 1, 2, "b", good=False)])
    there, missing = frozenset("a"), frozenset[str]()
    assert lost_labels(changes, [there, there]) == []
    assert lost_labels(changes, [there, missing]) == ["a"]
    removed = lives([ADD, REMOVE])
    assert lost_labels(removed, [missing, missing]) == []
    assert lost_labels(removed, [missing, there]) == ["a"]
    unknown = lives([ADD, replace(REMOVE, is_good=False)])
    assert lost_labels(unknown, [missing]) == lost_labels(unknown, [there]) == []


def attempt(number: int, status: int) -> Attempt:
    return Attempt("x", number, "/infer", "http://127.0.0.1:1", 0.0, 0.0, 1.0, status)


def test_a_verdict_counts_with_and_without_the_retry() -> None:
    operations = [ADD, operation("infer", 3, 4, seen="a"), operation("infer", 6, 9, good=False)]
    attempts = [attempt(1, 200), attempt(1, 500), attempt(2, 200), attempt(1, 0), attempt(2, 503)]
    verdict = judge(operations, attempts, ["first", "a"], [frozenset({"a"})])
    assert (verdict.requests, verdict.lost_at_once, verdict.lost) == (3, 2, 1)
    assert (verdict.changes, verdict.changes_lost, verdict.changes_doubled) == (1, 0, 0)
    assert (verdict.reads, verdict.stale) == (1, 0)
    assert (verdict.longest_s, verdict.gap_s) == (1, 2)
    assert verdict.statuses == {0: 1, 200: 2, 500: 1, 503: 1}
    assert not verdict.holds


def test_nothing_lost_holds_and_a_change_made_twice_does_not() -> None:
    operations = [ADD, operation("infer", 3, 4, seen="a")]
    good = [attempt(1, 200), attempt(1, 500), attempt(2, 200)]
    assert judge(operations, good, ["a"], [frozenset("a")]).holds
    twice = judge(operations, good, ["a", "a"], [frozenset("a")])
    assert (twice.changes_doubled, twice.holds) == (1, False)
    assert not judge([], [], [], []).holds, "nothing sent proves nothing"
