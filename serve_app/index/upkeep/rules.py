"""When a gallery's index is built anew: pure decisions from what the store knows of it."""

from __future__ import annotations

from dataclasses import dataclass

from serve_app.index.records import SnapshotRow, Standing
from serve_app.types import Shard

SLACK = 1000
"""Templates that are always searched exactly beside the built index: they cost nothing."""


@dataclass(frozen=True, slots=True)
class UpkeepRules:
    """``exact_until``: up to so many templates a gallery is searched exactly, whatever its type.
    ``growth`` and ``dead``: shares of the built index that may be newer, or removed, before it is
    built anew. ``erase_within_s``: seconds until what was removed is in no snapshot. ``keep``:
    snapshots of a gallery; more than one, as the newest may be torn."""

    exact_until: int = 20_000
    growth: float = 0.25
    dead: float = 0.2
    erase_within_s: float = 86_400
    keep: int = 2


def wants_build(standing: Standing, shard: Shard, rules: UpkeepRules, now: float) -> bool:
    """Whether a new index and snapshot should be built. ``now``: seconds since the epoch."""
    snapshot = standing.snapshot
    size = standing.info.size / shard.of
    if snapshot is None:
        return standing.wanted_seq > 0 or size >= rules.exact_until
    if snapshot.seq == standing.info.seq:
        return False
    if standing.wanted_seq > snapshot.seq or erasure_is_due(standing, rules, now):
        return True
    newer = (standing.info.next_id - snapshot.next_id) / shard.of
    removed = snapshot.size + newer - size
    return (
        newer > rules.growth * snapshot.size + SLACK or removed > rules.dead * snapshot.size + SLACK
    )


def erasure_is_due(standing: Standing, rules: UpkeepRules, now: float) -> bool:
    """Whether the newest snapshot holds removed templates, and for half the time that it may: the
    other half is left to build."""
    snapshot = standing.snapshot
    if snapshot is None or standing.removed_seq <= snapshot.seq:
        return False
    return _held_s(snapshot, standing, now) >= rules.erase_within_s / 2


def superfluous(
    snapshots: list[SnapshotRow], standing: Standing, rules: UpkeepRules, now: float
) -> list[SnapshotRow]:
    """Which of a gallery's ``snapshots`` (newest first) have to go: those beyond ``keep``, those
    with removed templates that a newer one lacks, and any that held them for too long."""
    gone = []
    for position, snapshot in enumerate(snapshots):
        unclean = snapshot.seq < standing.removed_seq
        clean_is_newer = any(s.seq >= standing.removed_seq for s in snapshots[:position])
        too_long = _held_s(snapshot, standing, now) > rules.erase_within_s
        if position >= rules.keep or (unclean and (clean_is_newer or too_long)):
            gone.append(snapshot)
    return gone


def _held_s(snapshot: SnapshotRow, standing: Standing, now: float) -> float:
    """For how long at most a snapshot has held what was removed: not from before it was made."""
    return now - max(snapshot.created_at, standing.removed_at)
