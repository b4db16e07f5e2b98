"""When an index is built anew, and which snapshots have to go."""

from __future__ import annotations

import pytest

from serve_app.index.records import SnapshotRow, Standing
from serve_app.index.upkeep.rules import (
    SLACK,
    UpkeepRules,
    erasure_is_due,
    superfluous,
    wants_build,
)
from serve_app.types import GalleryInfo, Metric, Shard

RULES = UpkeepRules(exact_until=5000, growth=0.5, dead=0.25, erase_within_s=100, keep=2)
NOW = 10_000.0
WHOLE = Shard()


def shot(seq: int, size: int = 0, next_id: int = 0, created_at: float = 0.0) -> SnapshotRow:
    return SnapshotRow(f"snapshot {seq}", "5f1e", WHOLE, seq, next_id, size, created_at)


def standing(
    size: int = 0,
    *,
    seq: int = 9,
    next_id: int = 0,
    snapshot: SnapshotRow | None = None,
    wanted: int = 0,
    removed: int = 0,
    removed_at: float = 0.0,
) -> Standing:
    info = GalleryInfo("staff", "5f1e", seq, "Flat", Metric.IP, 8, "m", size, next_id)
    return Standing(info, snapshot, wanted, removed, removed_at)


@pytest.mark.parametrize(
    ("size", "shards", "wanted", "expected"),
    [
        (4999, 1, 0, False),
        (5000, 1, 0, True),
        (9999, 2, 0, False),
        (10_000, 2, 0, True),
        (0, 1, 3, True),
        (10, 4, 3, True),
    ],
)
def test_without_a_snapshot(size: int, shards: int, wanted: int, expected: bool) -> None:
    gallery = standing(size, wanted=wanted)
    assert wants_build(gallery, Shard(0, shards), RULES, NOW) is expected


@pytest.mark.parametrize(
    ("newer", "removed", "shards", "expected"),
    [
        (0, 0, 1, False),
        (5000 + SLACK, 0, 1, False),
        (5001 + SLACK, 0, 1, True),
        (2 * (5000 + SLACK), 0, 2, False),
        (2 * (5001 + SLACK), 0, 2, True),
        (0, 2500 + SLACK, 1, False),
        (0, 2501 + SLACK, 1, True),
        (3000, 2500 + SLACK, 1, False),
        (0, 2 * (2501 + SLACK), 2, True),
    ],
)
def test_growth_and_removals(newer: int, removed: int, shards: int, expected: bool) -> None:
    size = shards * 10_000 + newer - removed
    snapshot = shot(5, 10_000, next_id=20_000)
    gallery = standing(size, next_id=20_000 + newer, snapshot=snapshot)
    assert wants_build(gallery, Shard(0, shards), RULES, NOW) is expected


def test_a_small_gallery_is_not_built_at_every_change() -> None:
    gallery = standing(900, next_id=900, snapshot=shot(1, 1, next_id=1))
    assert not wants_build(gallery, WHOLE, RULES, NOW)


@pytest.mark.parametrize(
    ("wanted", "seq", "expected"), [(5, 9, False), (6, 9, True), (9, 9, True), (5, 5, False)]
)
def test_an_index_that_was_asked_for(wanted: int, seq: int, expected: bool) -> None:
    gallery = standing(10, seq=seq, next_id=10, snapshot=shot(5, 10, 10), wanted=wanted)
    assert wants_build(gallery, WHOLE, RULES, NOW) is expected


def test_nothing_new_needs_no_index() -> None:
    gallery = standing(10**6, seq=5, snapshot=shot(5, 1), wanted=5, removed=5, removed_at=1)
    assert not wants_build(gallery, WHOLE, RULES, NOW)


@pytest.mark.parametrize(
    ("removed", "removed_at", "created_at", "expected"),
    [
        (6, NOW - 49, 0, False),
        (6, NOW - 50, 0, True),
        (5, NOW - 99, 0, False),  # the snapshot lacks it already
        (6, 1, NOW - 49, False),  # it held nothing before it was made
        (6, 1, NOW - 50, True),
    ],
)
def test_erasure_begins_at_half_time(
    removed: int, removed_at: float, created_at: float, expected: bool
) -> None:
    snapshot = shot(5, 10, 10, created_at)
    gallery = standing(9, next_id=10, snapshot=snapshot, removed=removed, removed_at=removed_at)
    assert erasure_is_due(gallery, RULES, NOW) is expected
    assert wants_build(gallery, WHOLE, RULES, NOW) is expected


def test_no_snapshot_holds_nothing() -> None:
    assert not erasure_is_due(standing(9, removed=6), RULES, NOW)


def kept(snapshots: list[SnapshotRow], gallery: Standing) -> list[int]:
    gone = superfluous(snapshots, gallery, RULES, NOW)
    return [each.seq for each in snapshots if each not in gone]


def test_more_than_are_kept() -> None:
    assert kept([shot(9), shot(8), shot(7), shot(3)], standing()) == [9, 8]
    assert kept([], standing()) == []


def test_what_a_clean_one_replaces_goes_at_once() -> None:
    gallery = standing(removed=8, removed_at=NOW)
    assert kept([shot(9), shot(7)], gallery) == [9]
    assert kept([shot(8), shot(7)], gallery) == [8]
    assert kept([shot(9), shot(8)], gallery) == [9, 8]
    assert kept([shot(7), shot(6)], gallery) == [7, 6]  # until there is a clean one


@pytest.mark.parametrize(("removed_at", "left"), [(NOW - 100, [7, 6]), (NOW - 101, [])])
def test_what_held_it_for_too_long_goes_without_a_clean_one(
    removed_at: float, left: list[int]
) -> None:
    gallery = standing(removed=8, removed_at=removed_at)
    assert kept([shot(7), shot(6)], gallery) == left
