"""Removals that are pruned while a gallery is read: it is read again, and is no lost gallery."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from serve_app.errors import GalleryNotFoundError, UnavailableError
from serve_app.index.loading import TRIES, Loader
from serve_app.types import Shard

from .samples import build
from .watched import WatchedStore


@pytest.fixture
def watched(url: str) -> Iterator[WatchedStore]:
    store = WatchedStore(url)
    build(store, count=30)
    yield store
    store.close()


def prune_at(store: WatchedStore, times: int) -> None:
    """At so many first pages a template is removed and its tombstone pruned."""
    left = list(range(times))

    def prune(_: int) -> None:
        if left:
            store.remove("staff", [left.pop()], with_labels=False)
            store.prune(3600, 0)

    store.before_page = prune


def test_pruned_while_it_is_read(watched: WatchedStore) -> None:
    prune_at(watched, 3)
    loader = Loader(watched, Shard(), None)
    loaded = loader.load(watched.describe(["staff"])["staff"])
    assert len(loaded.index) == 27
    assert loaded.info == watched.describe(["staff"])["staff"]


def test_pruned_all_the_time(watched: WatchedStore) -> None:
    prune_at(watched, 2 * TRIES)
    loader = Loader(watched, Shard(), None)
    with pytest.raises(UnavailableError, match="faster than it is read"):
        loader.load(watched.describe(["staff"])["staff"])


def test_replaced_while_it_is_read(watched: WatchedStore) -> None:
    info = watched.describe(["staff"])["staff"]
    loader = Loader(watched, Shard(), None)
    with pytest.raises(GalleryNotFoundError, match="replaced"):
        loader.load(replace(info, generation="another"))
