"""What must be in a store after a crash, by what its writer said, and what is wrong with it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from serve_app.errors import FaceServeError
from serve_app.index.store import GalleryStore
from tests.index.samples import embeddings

from .writer import A_MUTATION, KEY, add, templates


@dataclass(slots=True)
class Ledger:
    """The lines of ``writer.churn``, added up."""

    created: bool = False
    there: dict[str, list[int]] = field(default_factory=dict)
    """Acknowledged additions that were not removed again: ids by label."""
    given: list[int] = field(default_factory=list)
    """Ids that were acknowledged."""
    mutations: int = 0
    begun: tuple[str, str] | None = None
    """The mutation that was not acknowledged: add or remove, and its label."""


def read(said: Sequence[str]) -> Ledger:
    ledger = Ledger()
    for line in said:
        verb, _, rest = line.partition(" ")
        if verb == "created":
            ledger.created = True
        elif verb != "done":
            ledger.begun = (verb, rest)
        else:
            assert ledger.begun is not None
            operation, label = ledger.begun
            if operation == "add":
                ledger.there[label] = json.loads(rest)
                ledger.given += json.loads(rest)
            else:
                del ledger.there[label]
            ledger.mutations += 1
            ledger.begun = None
    return ledger


def complaint(url: str, said: Sequence[str]) -> str | None:
    """What is wrong with the store at ``url``, or None. Adds to it, to see that it goes on."""
    ledger = read(said)
    try:
        store = GalleryStore(url)
    except FaceServeError as error:
        return str(error)
    try:
        return _complaint(store, ledger)
    except FaceServeError as error:
        return str(error)
    finally:
        store.close()


def _complaint(store: GalleryStore, ledger: Ledger) -> str | None:
    staff = store.describe([KEY]).get(KEY)
    if staff is None:
        return "the gallery was lost" if ledger.created else None
    found = templates(store)
    finished = _finished(ledger, found)
    if finished is None:
        return f"found {found} instead of {ledger.there}, {ledger.begun} unfinished"
    if staff.seq != 1 + ledger.mutations + finished:
        return f"seq {staff.seq} after {ledger.mutations} mutations"
    page = store.page(staff, -1, 1_000_000)
    if len(set(page.ids)) != len(page.ids):
        return f"an id is there twice: {page.ids}"
    for label, ids in found.items():
        vectors = page.vectors[np.isin(page.ids, ids)]
        if not np.array_equal(vectors, embeddings(A_MUTATION, seed=int(label)).vectors):
            return f"other embeddings than those of {label}"
    return _complaint_of_ids(store, ledger, found)


def _finished(ledger: Ledger, found: dict[str, list[int]]) -> bool | None:
    """Whether the unfinished mutation is there, whole; None if neither nor."""
    if found == ledger.there:
        return False
    if ledger.begun is None:
        return None
    operation, label = ledger.begun
    expected = dict(ledger.there)
    if operation == "remove":
        del expected[label]
    else:
        expected[label] = found.get(label, [])
    return True if found == expected and len(expected.get(label, "abc")) == A_MUTATION else None


def _complaint_of_ids(
    store: GalleryStore, ledger: Ledger, found: dict[str, list[int]]
) -> str | None:
    """Ids are given without gaps, once each, also to those whose template is gone by now."""
    given = set(ledger.given).union(*found.values())
    if len(set(ledger.given)) != len(ledger.given):
        return f"an id was given twice: {ledger.given}"
    if given != set(range(len(given))):
        return f"ids have gaps: {sorted(given)}"
    more = add(store, 1_000_000)
    if more != list(range(len(given), len(given) + A_MUTATION)):
        return f"{len(given)} ids were given, and the next are {more}"
    return None
