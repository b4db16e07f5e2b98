"""A batch reads only so much while all its searches wait, however many new galleries are in it; and
nothing is left of the searches that waited for one."""

from __future__ import annotations

import gc
import weakref
from concurrent.futures import Future

from serve_app.index.cache import A_GALLERY, INLINE, GalleryCache
from serve_app.index.records import SearchRequest
from serve_app.index.store import GalleryStore

from .samples import build, embeddings
from .watched import found, labels_of, settled


def test_many_new_galleries_in_one_batch(store: GalleryStore) -> None:
    keys = [f"gallery {number}" for number in range(20)]
    for key in keys:
        build(store, key, count=3)
    cache = GalleryCache(store)
    hot, *others = [SearchRequest(key, embeddings(1), 100) for key in keys]
    assert len(labels_of(found(cache, hot))) == 3
    answers = cache.search([*others, hot])
    later = [isinstance(answer, Future) for answer in answers]
    at_once = INLINE // A_GALLERY
    assert later == [False] * at_once + [True] * (len(others) - at_once) + [False]
    assert not any(isinstance(answer, Exception) for answer in settled(answers))
    assert not any(isinstance(answer, Future) for answer in cache.search([*others, hot]))
    cache.close()


def test_searches_that_waited_are_let_go(store: GalleryStore) -> None:
    build(store, count=3)
    cache = GalleryCache(store, inline=0)
    probes = embeddings(1)
    watched = weakref.ref(probes.vectors)
    assert len(labels_of(found(cache, SearchRequest("staff", probes, 100)))) == 3
    del probes
    gc.collect()
    assert watched() is None
    cache.close()
