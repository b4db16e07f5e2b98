from __future__ import annotations

import pytest

from serve_app.errors import UnavailableError
from serve_app.index.cache import GalleryCache
from serve_app.index.census import Census, take_census
from serve_app.index.mutations import Drop, unnamed
from serve_app.types import Embeddings, Shard

from .samples import MODEL, build, vectors
from .watched import WatchedStore, people

WHOLE = Shard()


def test_an_empty_store(url: str) -> None:
    store = WatchedStore(url)
    cache = GalleryCache(store)
    assert take_census(store, cache, WHOLE, 3) == Census(0, 0, (), 0, 0, 0, 0)
    cache.close()
    store.close()


def test_what_is_in_the_store_what_is_here_and_how_far_behind(database_url: str) -> None:
    store = WatchedStore(database_url)
    cache = GalleryCache(store)
    for key, count in (("a", 3), ("b", 7), ("c", 5), ("d", 1)):
        build(store, key, count)
    for key in ("a", "b", "c"):
        people(cache, key)
    assert take_census(store, cache, WHOLE, 2) == Census(4, 16, (7, 5), 3, 15, 0, 0)
    for number in range(4):
        added = Embeddings(MODEL, vectors(1, seed=number + 1))
        store.add("a", ["new"], added, with_labels=False)
    store.do(Drop("b", unnamed()))
    store.do(Drop("c", unnamed()))
    build(store, "c", 2)
    assert take_census(store, cache, WHOLE, 9) == Census(3, 10, (7, 2, 1), 3, 15, 4, 2)
    people(cache, "a")
    assert take_census(store, cache, WHOLE, 1).lag == 0
    cache.close()
    store.close()


def test_a_shard_has_its_part(url: str) -> None:
    store, shard = WatchedStore(url), Shard(1, 3)
    cache = GalleryCache(store, shard)
    build(store, "a", 8)
    people(cache, "a")
    census = take_census(store, cache, shard, 1)
    assert (census.templates, census.loaded_templates) == (8, 3)  # ids 1, 4, 7
    cache.close()
    store.close()


def test_a_store_that_does_not_answer_is_no_census(url: str) -> None:
    store = WatchedStore(url)
    cache = GalleryCache(store)
    store.down = True
    with pytest.raises(UnavailableError):
        take_census(store, cache, WHOLE, 1)
    cache.close()
    store.close()
