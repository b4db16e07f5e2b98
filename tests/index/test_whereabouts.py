"""Asking where galleries stand, while the store answers and while it is down."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from serve_app.errors import UnavailableError
from serve_app.index import whereabouts
from serve_app.index.store import GalleryStore
from serve_app.index.whereabouts import Whereabouts
from serve_app.types import Shard

from .samples import build, info_of
from .watched import WatchedStore


@pytest.fixture
def watched(url: str) -> Iterator[WatchedStore]:
    store = WatchedStore(url)
    yield store
    store.close()


def test_those_that_exist(store: GalleryStore, watched: WatchedStore) -> None:
    build(store)
    found = Whereabouts(watched, Shard()).of(["staff", "guests"], False)
    assert found == {"staff": info_of(store)}
    assert Whereabouts(watched, Shard()).of([], False) == {}
    assert watched.asked == [["staff", "guests"]]


def test_eventual_searches_do_not_ask_right_after_a_failure(
    store: GalleryStore, watched: WatchedStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(whereabouts, "DOWN_S", 0.2)
    build(store)
    asking = Whereabouts(watched, Shard())
    watched.down = True
    for eventual, asked in ((True, 1), (True, 1), (False, 2), (True, 2)):
        with pytest.raises(UnavailableError):
            asking.of(["staff"], eventual)
        assert len(watched.asked) == asked
    watched.down = False
    time.sleep(0.25)
    assert asking.of(["staff"], True).keys() == {"staff"}
    watched.down = True
    with pytest.raises(UnavailableError):
        asking.of(["staff"], True)
    assert len(watched.asked) == 4


def test_an_error_may_be_an_answer(watched: WatchedStore) -> None:
    where = Whereabouts(watched, Shard())
    assert where.asked(["guests"], False) == ({}, None)
    watched.down = True
    found, error = where.asked(["guests"], False)
    assert found == {}
    assert isinstance(error, UnavailableError)
