"""A killed process leaves whole mutations only, and every one that was acknowledged."""

from __future__ import annotations

import random
import time
from collections import Counter
from pathlib import Path

from serve_app.errors import GalleryNotFoundError
from serve_app.index.store import GalleryStore
from serve_app.types import IndexType, Metric

from .samples import embeddings, rows
from .writer import A_MUTATION, writers

ROUNDS = 8


def test_killed_writers(url: str, file: Path) -> None:
    store = GalleryStore(url)
    store.create("churn", IndexType.FLAT, Metric.IP, [], embeddings(0), with_labels=False)
    chance = random.Random(4)
    expected: dict[str, bool | None] = {}  # True: there, False: not, None: either
    acknowledged = 0
    for turn in range(ROUNDS):
        with writers(1, url, "churn", "churn") as (writer,):
            writer.release()
            time.sleep(chance.uniform(0.05, 0.5))
            lines = writer.kill()
        # Writers are numbered from 0, so each turn adds the same numbers: count from the store.
        pending: str | None = None
        for line in lines:
            if line == "ready":
                continue
            if line == "done":
                assert pending is not None
                operation, number = pending.split()
                expected[f"{turn}-{number}"] = operation == "add"
                acknowledged += 1
                pending = None
            else:
                pending = line
        if pending is not None:
            _, number = pending.split()
            expected[f"{turn}-{number}"] = None
        found = Counter(label for (label,) in live(file))
        store = GalleryStore(url)  # opens and is whole
        assert store.describe(["churn"])["churn"].seq >= 1
        for label, count in found.items():
            assert count == A_MUTATION, f"{label} is there by half"
        for name, there in expected.items():
            if name.startswith(f"{turn}-") and there is not None:
                assert (name.partition("-")[2] in found) == there, name
        ids = [number for (number,) in rows(file, "SELECT id FROM template")]
        assert len(ids) == len(set(ids))
        ((size, next_id),) = rows(file, "SELECT size, next_id FROM gallery")
        assert size == sum(found.values())
        assert next_id == len(ids)
        clear(store, file)
        store.close()
    assert acknowledged > ROUNDS


def live(file: Path) -> list[tuple[str]]:
    return rows(file, "SELECT label FROM template WHERE removed_seq IS NULL")


def clear(store: GalleryStore, file: Path) -> None:
    """Nothing of this turn is there in the next."""
    ids = [number for (number,) in rows(file, "SELECT id FROM template WHERE removed_seq IS NULL")]
    try:
        store.remove("churn", ids, with_labels=False)
    except GalleryNotFoundError as error:
        raise AssertionError("the gallery is gone") from error
