"""Whether a drill lost anything: requests, acknowledged changes, or the order in which they are
seen. Pure: from the journal and what the store and a last search hold."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from load_tests.drill.journal import Attempt, Operation, longest_gap_s
from load_tests.traffic.summary import percentile

NEVER = float("inf")


@dataclass(frozen=True, slots=True)
class Change:
    """The life of one label. Times are NEVER where it did not come to that; ``begun_s`` of a change
    without an answer is known, its end is not: it may have been made at any time since."""

    added_begun_s: float = NEVER
    added_s: float = NEVER
    removed_begun_s: float = NEVER
    removed_s: float = NEVER


@dataclass(frozen=True, slots=True)
class Verdict:
    """Of one scenario. ``lost_at_once``: operations whose first attempt failed, lost to a client
    that does not retry. ``settled``: what happened came to its end. Times in seconds from when an
    operation was due."""

    requests: int
    lost_at_once: int
    lost: int
    changes: int
    changes_lost: int
    changes_doubled: int
    reads: int
    stale: int
    p50_s: float
    p99_s: float
    longest_s: float
    gap_s: float
    statuses: Mapping[int, int]
    settled: bool = True

    @property
    def holds(self) -> bool:
        nothing = self.lost, self.changes_lost, self.changes_doubled, self.stale
        return self.settled and self.requests > 0 and not any(nothing)


def judge(
    operations: Sequence[Operation],
    attempts: Sequence[Attempt],
    stored: Sequence[str],
    found: Sequence[frozenset[str]],
    *,
    settled: bool = True,
) -> Verdict:
    """``stored``: the labels of all templates that the store holds afterwards; ``found``: of last
    searches, one through each proxy; ``settled``: the service came to be as it should."""
    changes = lives(operations)
    reads = [one for one in operations if one.kind == "infer" and one.is_good]
    acknowledged = [one for one in operations if one.kind != "infer" and one.is_good]
    latencies = [one.latency_s for one in operations if one.is_good]
    return Verdict(
        requests=len(operations),
        lost_at_once=sum(one.number == 1 and not one.is_good for one in attempts),
        lost=sum(not one.is_good for one in operations),
        changes=len(acknowledged),
        changes_lost=len(lost_labels(changes, [frozenset(stored), *found])),
        changes_doubled=sum(count > 1 for count in Counter(stored).values()),
        reads=len(reads),
        stale=len(stale_reads(reads, changes)),
        p50_s=percentile(latencies, 50),
        p99_s=percentile(latencies, 99),
        longest_s=max(latencies, default=float("nan")),
        gap_s=longest_gap_s(operations),
        statuses=dict(sorted(Counter(one.status for one in attempts).items())),
        settled=settled,
    )


def lives(operations: Iterable[Operation]) -> dict[str, Change]:
    """Each label is enrolled once and removed once at most."""
    added = {one.label: one for one in operations if one.kind == "add"}
    removed = {one.label: one for one in operations if one.kind == "remove"}
    found = {}
    for label, add in added.items():
        gone = removed.get(label)
        found[label] = Change(
            add.begun_s,
            add.ended_s if add.is_good else NEVER,
            gone.begun_s if gone else NEVER,
            gone.ended_s if gone and gone.is_good else NEVER,
        )
    return found


def lost_labels(changes: Mapping[str, Change], seen: Sequence[frozenset[str]]) -> list[str]:
    """Labels that an acknowledged enrolment put there and that are missing somewhere in ``seen``,
    or that an acknowledged removal took away and that are there."""
    lost = []
    for label, change in changes.items():
        there = [label in labels for labels in seen]
        if (change.removed_s < NEVER and any(there)) or (
            change.added_s < NEVER and change.removed_begun_s == NEVER and not all(there)
        ):
            lost.append(label)
    return lost


def stale_reads(
    reads: Iterable[Operation], changes: Mapping[str, Change]
) -> list[tuple[Operation, str]]:
    """Reads that no order of events explains, each with a label that tells: one that was enrolled
    and acknowledged before the read began and was not seen, one that was removed and acknowledged
    before it began and was seen, one that was seen before anybody asked for it, and one that an
    earlier read saw and this one, begun after that was answered, did not."""
    stale: dict[str, tuple[Operation, str]] = {}
    by_begin = sorted(reads, key=lambda one: one.begun_s)
    known = first_seen(by_begin)
    for read in by_begin:
        for label, change in changes.items():
            there = label in read.seen
            if there:
                wrong = change.removed_s < read.begun_s or change.added_begun_s > read.ended_s
            else:
                sure_s = min(change.added_s, known.get(label, NEVER))
                wrong = sure_s < read.begun_s and change.removed_begun_s > read.ended_s
            if wrong:
                stale[read.id] = (read, label)
                break
    return list(stale.values())


def first_seen(reads: Iterable[Operation]) -> dict[str, float]:
    """When the first read that saw each label was answered."""
    found: dict[str, float] = {}
    for read in reads:
        for label in read.seen:
            found[label] = min(found.get(label, NEVER), read.ended_s)
    return found
