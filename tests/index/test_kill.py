"""A killed process leaves every mutation that it acknowledged, and none by half."""

from __future__ import annotations

import json
import random
from collections import defaultdict
from pathlib import Path

import numpy as np

from serve_app.index.store import GalleryStore
from serve_app.types import IndexType, Metric

from .samples import embeddings, rows
from .writer import A_MUTATION, writers

ROUNDS = 10

Mutations = dict[int, list[int]]
"""Which additions were not removed again: their numbers, and the ids of their templates."""


def test_killed_at_any_moment(url: str, file: Path) -> None:
    store = GalleryStore(url)
    store.create("staff", IndexType.FLAT, Metric.IP, [], embeddings(0), with_labels=False)
    store.close()
    chance = random.Random(0)
    there: Mutations = {}
    acknowledged = interrupted = 0
    with writers(1, url, "churn", "staff") as (writer,):
        for _ in range(ROUNDS):  # of opening and writing
            said = writer.live_and_be_killed(chance.uniform(0, 0.4))
            there, unfinished, done = replayed(there, said)
            acknowledged += done
            interrupted += unfinished is not None
            there = survivors(url, file, there, unfinished)
    assert acknowledged > ROUNDS
    assert interrupted > 0
    assert there


def replayed(there: Mutations, said: list[str]) -> tuple[Mutations, tuple[str, int] | None, int]:
    """What must be there by what a process said: with what it had begun and not acknowledged, and
    how many mutations it acknowledged."""
    there = dict(there)
    begun: tuple[str, int] | None = None
    acknowledged = 0
    for line in said:
        verb, _, rest = line.partition(" ")
        if verb != "done":
            begun = (verb, int(rest))
            continue
        assert begun is not None
        operation, number = begun
        if operation == "add":
            there[number] = json.loads(rest)
        else:
            assert there.pop(number) == json.loads(rest)
        begun = None
        acknowledged += 1
    return there, begun, acknowledged


def survivors(
    url: str, file: Path, there: Mutations, unfinished: tuple[str, int] | None
) -> Mutations:
    """What is found: that which was acknowledged, or that and the whole unfinished mutation."""
    store = GalleryStore(url)  # what was half written is rolled back, or this raises
    staff = store.describe(["staff"])["staff"]
    page = store.page(staff, -1, 1_000_000)
    store.close()
    found: Mutations = defaultdict(list)
    for number, label in zip(page.ids, page.labels, strict=True):
        found[int(label)].append(number)

    possible = [there]
    if unfinished is not None:
        operation, changed = unfinished
        if operation == "remove":
            possible.append({n: ids for n, ids in there.items() if n != changed})
        elif changed in found:
            possible.append(there | {changed: found[changed]})
    assert found in possible
    assert all(len(ids) == A_MUTATION for ids in found.values())
    enrolled = [embeddings(A_MUTATION, seed=number).vectors for number in sorted(found)]
    assert page.ids == [number for name in sorted(found) for number in found[name]]
    assert np.array_equal(page.vectors, np.concatenate([embeddings(0).vectors, *enrolled]))

    # Every id was given once, in the gallery's own order, and each mutation has its seq.
    ids = [number for (number,) in rows(file, "SELECT id FROM template ORDER BY id")]
    assert ids == list(range(len(ids)))
    seqs = "SELECT added_seq FROM template UNION SELECT removed_seq FROM template"
    counted = sorted(seq for (seq,) in rows(file, seqs) if seq is not None)
    assert counted == list(range(2, staff.seq + 1))
    assert rows(file, "SELECT next_id, size FROM gallery") == [(len(ids), len(page.ids))]
    return dict(found)
