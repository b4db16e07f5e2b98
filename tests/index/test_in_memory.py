"""A gallery in memory: the same answers whatever its index is made of, and when that is made."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from serve_app.config import IndexConfig
from serve_app.errors import InvalidRequestError
from serve_app.index import in_memory
from serve_app.index.gallery import train_and_add
from serve_app.index.in_memory import DEAD, EXACT_UNTIL, GROWTH, SLACK, InMemoryGallery, Templates
from serve_app.types import IndexType, Metric
from tests.index.brute_force import every_metric, every_type, exact, ids_of, nearest
from tests.index.samples import vectors


def templates(start: int, stop: int, dimension: int = 8) -> Templates:
    """The same vector for the same id."""
    ids = np.arange(start, stop, dtype=np.int64)
    labels = [f"label {number}" for number in range(start, stop)]
    return Templates(ids, labels, vectors(5000, dimension)[start:stop])


def gallery(
    count: int, index_type: str = "HNSW32", metric: Metric = Metric.IP, exact_until: int = 100
) -> InMemoryGallery:
    return InMemoryGallery(index_type, metric, templates(0, count), exact_until=exact_until)


def trained(held: InMemoryGallery) -> int:
    """Templates in the trained index."""
    return held._index.sealed_rows


@pytest.fixture
def no_slack(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(in_memory, "SLACK", 0)


def test_the_service_has_the_same_rules() -> None:
    default = IndexConfig()
    assert (default.exact_until, default.growth, default.dead) == (EXACT_UNTIL, GROWTH, DEAD)
    assert SLACK == 1000


@every_type
@every_metric
@pytest.mark.parametrize("count", [0, 1, 100, 101, 1000])
def test_it_finds_what_is_there(index_type: IndexType, metric: Metric, count: int) -> None:
    held = gallery(count, index_type, metric)
    assert trained(held) == (count if count > 100 and index_type is not IndexType.FLAT else 0)
    held.add(templates(count, count + 30))
    assert held.remove([0, count, 7000]) == ([0, count] if count else [0])
    live = np.setdiff1d(np.arange(count + 30), [0, count])
    assert list(held.labels()) == live.tolist()
    assert held.labels()[count + 29] == f"label {count + 29}"
    probes = vectors(20, seed=7)
    best = live[nearest(metric, exact(metric, vectors(5000)[live], probes), 5)]
    found = np.array([ids_of(row) for row in held.search(probes, 5)])
    assert (found == best).mean() > 0.95
    now = held.templates()
    np.testing.assert_array_equal(now.ids, live)
    np.testing.assert_array_equal(now.vectors, vectors(5000)[live])
    assert now.labels == [f"label {number}" for number in live.tolist()]


def test_growth_is_trained_in(no_slack: None) -> None:
    held = gallery(90)
    held.add(templates(90, 100))
    assert trained(held) == 0
    held.add(templates(100, 101))
    assert trained(held) == 101
    held.add(templates(101, 126))
    assert trained(held) == 101
    held.add(templates(126, 127))
    assert trained(held) == 127


def test_little_is_searched_beside_whatever_its_share() -> None:
    held = gallery(101)
    held.add(templates(101, 101 + SLACK + 25))
    assert trained(held) == 101
    held.add(templates(101 + SLACK + 25, 102 + SLACK + 25))
    assert trained(held) == 102 + SLACK + 25


@every_type
def test_gaps_are_closed(index_type: IndexType, no_slack: None) -> None:
    held = gallery(500, index_type)
    held.remove(range(100))
    assert held._index.dead_rows == 100
    held.remove([100])
    assert held._index.dead_rows == 0
    assert trained(held) == (0 if index_type is IndexType.FLAT else 399)
    held.remove(range(101, 450))
    assert trained(held) == 0  # few enough to be searched exactly
    assert list(held.labels()) == list(range(450, 500))
    assert held.remove(range(500)) == list(range(450, 500))
    assert (len(held), held.search(vectors(1), 3)) == (0, [[]])


@every_type
def test_the_whole_comes_with_its_index(index_type: IndexType) -> None:
    held = gallery(1000, index_type)
    now, built = held.whole()
    is_flat = index_type is IndexType.FLAT
    assert (built is None) == is_flat
    held.add(templates(1000, 1010))
    now, longer = held.whole()
    assert len(now.ids) == 1010
    assert longer is None if is_flat else longer.ntotal == 1010
    assert built is None or built.ntotal == 1000
    held.remove([5])
    now, none = held.whole()
    assert none is None
    assert len(now.ids) == len(now.labels) == len(now.vectors) == 1009
    assert gallery(50, index_type).whole()[1] is None


def test_an_index_that_is_there_is_taken() -> None:
    content = templates(0, 200)
    built = train_and_add("HNSW32", Metric.IP, 8, content.vectors, threads=1)
    held = InMemoryGallery("HNSW32", Metric.IP, content, built=built, exact_until=100)
    assert held.whole()[1] is built


def test_a_quantizer_forgets_nothing(no_slack: None) -> None:
    held = gallery(300, "SQ4")
    held.add(templates(300, 320))
    held.remove([3, 310])
    expected = np.delete(np.arange(320), [3, 310])
    now, built = held.whole()
    np.testing.assert_array_equal(now.vectors, vectors(5000)[expected])
    assert built is None
    assert trained(held) == 300
    held.remove(range(100))
    assert trained(held) == 219
    np.testing.assert_array_equal(held.templates().vectors, vectors(5000)[expected[99:]])


def test_a_type_that_needs_more_is_searched_exactly(caplog: pytest.LogCaptureFixture) -> None:
    """To refuse the templates would leave no way to get to more."""
    with pytest.raises(InvalidRequestError, match="IVF500,Flat: it needs at least 500 templates"):
        gallery(101, "IVF500,Flat")
    held = gallery(100, "IVF500,Flat")
    held.add(templates(100, 200))
    assert "not trained anew: index type IVF500,Flat: it needs at least 500" in caplog.text
    assert ids_of(held.search(vectors(5000)[[150]], 1)[0]) == [150]
    held.add(templates(200, 600))
    assert trained(held) == 600


def test_what_fails_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    held = gallery(100)

    def fail(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(in_memory, "train_and_add", fail)
    with pytest.raises(KeyboardInterrupt):
        held.add(templates(100, 120))
    assert len(held) == 100
    monkeypatch.undo()
    held.add(templates(100, 120))
    assert (len(held), trained(held)) == (120, 120)


def test_too_little_memory_to_train(monkeypatch: pytest.MonkeyPatch) -> None:
    held = gallery(100)

    def fail(*_: object) -> None:
        raise MemoryError

    monkeypatch.setattr(in_memory, "train_and_add", fail)
    held.add(templates(100, 120))
    assert (len(held), trained(held)) == (120, 0)


def test_searches_go_on_while_an_index_is_trained(monkeypatch: pytest.MonkeyPatch) -> None:
    held = gallery(100)
    begun, go_on = threading.Event(), threading.Event()

    def slow(*arguments: Any) -> Any:
        begun.set()
        assert go_on.wait(30)
        return train_and_add(*arguments)

    monkeypatch.setattr(in_memory, "train_and_add", slow)
    adding = threading.Thread(target=held.add, args=(templates(100, 150),))
    adding.start()
    assert begun.wait(30)
    assert ids_of(held.search(vectors(5000)[[7]], 1)[0]) == [7]
    assert len(held) == 100
    go_on.set()
    adding.join(30)
    assert ids_of(held.search(vectors(5000)[[149]], 1)[0]) == [149]


@every_type
def test_many_threads(index_type: IndexType, no_slack: None) -> None:
    """Every search sees one state: what was never removed is always found, what is gone never."""
    held = gallery(300, index_type)
    held.remove(range(10))
    stop = threading.Event()
    faults: list[object] = []

    def search() -> None:
        rows = vectors(5000)
        while not stop.is_set():
            found = [ids_of(row) for row in held.search(rows[[5, 20, 250]], 3)]
            if found[1][0] != 20 or found[2][0] != 250 or 5 in found[0]:
                faults.append(found)

    searching = [threading.Thread(target=search) for _ in range(3)]
    for thread in searching:
        thread.start()
    for start in range(300, 1500, 40):
        held.add(templates(start, start + 40))
        held.remove(range(start, start + 30))
        assert len(held.whole()[0].ids) == len(held)
    stop.set()
    for thread in searching:
        thread.join(30)
    assert not faults


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(["Flat", "IVF", "HNSW32", "SQ8"]),
    st.lists(
        st.integers(1, 60) | st.lists(st.integers(-5, 400), max_size=80).map(tuple), max_size=8
    ),
)
def test_any_course_of_changes(index_type: str, steps: list[int | tuple[int, ...]]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(in_memory, "SLACK", 0)
        held = InMemoryGallery(index_type, Metric.IP, templates(0, 30), exact_until=40)
        live, new = set(range(30)), 30
        for step in steps:
            if isinstance(step, int):
                held.add(templates(new, new + step))
                live |= set(range(new, new + step))
                new += step
            else:
                assert held.remove(step) == sorted(live & set(step))
                live -= set(step)
            now, _ = held.whole()
            assert now.ids.tolist() == sorted(live) == list(held.labels())
            np.testing.assert_array_equal(now.vectors, vectors(5000)[sorted(live)])
            found = held.search(vectors(3, seed=3), 400)
            assert all(set(ids_of(row)) <= live for row in found)
            if index_type in ("Flat", "SQ8"):
                assert all(set(ids_of(row)) == live for row in found)
