"""The bitmap of rows that live."""

from __future__ import annotations

import numpy as np

from serve_app.index.gallery.tombstones import FIRST_ROOM, Tombstones


def test_rows_that_share_a_byte_are_buried_together() -> None:
    stones = Tombstones(20)
    assert stones.bury(np.array([0, 1, 7, 8, 19])).tolist() == [0, 1, 7, 8, 19]
    assert stones.bury(np.array([1, 2])).tolist() == [2]
    assert stones.dead == 6
    alive = stones.alive(np.arange(-1, 20))
    assert np.flatnonzero(~alive).tolist() == [0, 1, 2, 3, 8, 9, 20]


def test_the_selector_follows_removal_and_growth() -> None:
    stones = Tombstones(8)
    selector = stones.selector
    assert selector.is_member(3)
    stones.bury(np.array([3]))
    assert stones.selector is selector
    assert not selector.is_member(3)
    stones.extend(8 * FIRST_ROOM)
    assert stones.selector is not selector
    assert not stones.selector.is_member(3)
    assert stones.selector.is_member(8 * FIRST_ROOM + 7)
