"""Quotas of faces and galleries, on both databases: exact, also where several add at once."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from serve_app.errors import QuotaError
from serve_app.index.mutations import Add, Create, Drop, Remove
from serve_app.index.store import GalleryStore
from serve_app.types import Caller, Metric, Receipt
from tests.index.samples import embeddings


def create(key: str, count: int, by: Caller) -> Create:
    labels = [f"l{number}" for number in range(count)]
    return Create(key, "Flat", Metric.IP, labels, embeddings(count), by=by)


def add(key: str, count: int, by: Caller) -> Add:
    return Add(key, [f"m{number}" for number in range(count)], embeddings(count), by=by)


def test_faces_up_to_the_quota_are_taken_and_not_one_more(any_store: GalleryStore) -> None:
    by = Caller("acme", max_faces=5)
    any_store.do(create("acme/a", 3, by))
    any_store.do(add("acme/a", 2, by))
    for refused in (add("acme/a", 1, by), create("acme/b", 1, by)):
        with pytest.raises(QuotaError, match="quota of faces: 5 of 5 are used, 1 more") as caught:
            any_store.do(refused)
        assert caught.value.retry_after_s == 60
    assert any_store.entry("acme/a").info.size == 5
    any_store.do(Remove("acme/a", [0], by=by))
    any_store.do(create("acme/b", 1, by))


def test_galleries_up_to_the_quota(any_store: GalleryStore) -> None:
    by = Caller("acme", max_galleries=2)
    any_store.do(create("acme/a", 1, by))
    any_store.do(create("acme/b", 1, by))
    with pytest.raises(QuotaError, match="quota of galleries"):
        any_store.do(create("acme/c", 1, by))
    any_store.do(add("acme/a", 50, by))
    any_store.do(Drop("acme/a", by=by))
    any_store.do(create("acme/c", 1, by))


def test_others_room_is_their_own(any_store: GalleryStore) -> None:
    by = Caller("acme", max_faces=2, max_galleries=1)
    for key in ("a", "other/a", "acme2/a"):
        any_store.do(create(key, 50, Caller(key.partition("/")[0])))
    any_store.do(create("acme/a", 2, by))


def test_without_limits_nobody_counts(any_store: GalleryStore) -> None:
    any_store.do(create("acme/a", 500, Caller("acme")))


def test_what_is_refused_leaves_its_neighbours_in_the_transaction(any_store: GalleryStore) -> None:
    by = Caller("acme", max_faces=3)
    answers = any_store.apply(
        [create("acme/a", 2, by), add("acme/a", 2, by), add("acme/a", 1, by), add("acme/a", 1, by)]
    )
    assert [type(answer) for answer in answers] == [Receipt, QuotaError, Receipt, QuotaError]
    assert any_store.entry("acme/a").info.size == 3


def test_many_at_once_do_not_go_over_it_together(any_store: GalleryStore) -> None:
    """In eight galleries, whose locks are no one another's, and of a tenant that nothing is known
    of: the quota is its key's."""
    by = Caller("acme", max_faces=20)
    for number in range(8):
        any_store.do(create(f"acme/{number}", 1, Caller("acme")))

    def one(number: int) -> bool:
        try:
            any_store.do(add(f"acme/{number % 8}", 1, by))
        except QuotaError:
            return False
        return True

    with ThreadPoolExecutor(8) as threads:
        added = list(threads.map(one, range(40)))
    assert sum(added) == 12
    assert sum(entry.info.size for entry in any_store.galleries("", 99, "acme")) == 20
