"""A look at what a replica has in memory and how far that is behind the store, for those who watch.

Two small queries, and no work for the searches but a moment of their lock. Must not know what
becomes of the figures.
"""

from __future__ import annotations

from dataclasses import dataclass

from serve_app.index.cache import GalleryCache
from serve_app.index.store import GalleryStore
from serve_app.types import Shard


@dataclass(frozen=True, slots=True)
class Census:
    """``galleries``, ``templates`` and ``largest`` (sizes, largest first) are the store's; the rest
    is of this replica: ``lag`` changes that its furthest behind gallery lacks, ``replaced``
    galleries that are of another build in the store, or gone."""

    galleries: int
    templates: int
    largest: tuple[int, ...]
    loaded_galleries: int
    loaded_templates: int
    lag: int
    replaced: int


def take_census(store: GalleryStore, cache: GalleryCache, shard: Shard, largest: int) -> Census:
    """Raises UnavailableError, at once if the store does not answer."""
    loaded = cache.loaded()
    # Asked after it: what is loaded meanwhile is not newer than what the store says.
    totals = store.totals(largest)
    there = store.describe([info.key for info, _ in loaded], shard, patient=False)
    lag = replaced = 0
    for info, _ in loaded:
        now = there.get(info.key)
        if now is None or now.generation != info.generation:
            replaced += 1
        else:
            lag = max(lag, now.seq - info.seq)
    return Census(
        galleries=totals.galleries,
        templates=totals.templates,
        largest=totals.largest,
        loaded_galleries=len(loaded),
        loaded_templates=sum(rows for _, rows in loaded),
        lag=lag,
        replaced=replaced,
    )
