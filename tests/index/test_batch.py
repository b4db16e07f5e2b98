"""What is asked alike is searched at once, and every request gets its own rows."""

from __future__ import annotations

import numpy as np

from serve_app.errors import GalleryMismatchError
from serve_app.index.batch import Group, grouped, search_group
from serve_app.index.records import Moment, SearchRequest
from serve_app.types import Consistency, Embeddings, GalleryInfo, Metric, SearchResult

from .brute_force import exact, filled, ids_of, nearest
from .samples import DIMENSION, MODEL, embeddings, vectors

INFO = GalleryInfo("staff", "5f1e", 1, "Flat", Metric.IP, DIMENSION, MODEL, 30, 30)


def test_groups_by_all_that_is_asked() -> None:
    probes = embeddings(1)
    eventual, moment = Consistency.EVENTUAL, Moment("5f1e", 3)
    requests = [
        SearchRequest("staff", probes, 3),
        SearchRequest("guests", probes, 3),
        SearchRequest("staff", probes, 2),
        SearchRequest("staff", probes, 3, eventual),
        SearchRequest("staff", probes, 3),
        SearchRequest("staff", probes, 3, at=moment),
        SearchRequest("staff", probes, 3, at=Moment("5f1e", 4)),
        SearchRequest("staff", probes, 3, at=Moment("5f1e", 3)),
    ]
    groups = grouped(requests)
    assert [sorted(group.probes) for group in groups] == [[0, 4], [1], [2], [3], [5, 7], [6]]
    assert [(g.key, g.top_k, g.consistency, g.at) for g in groups][3:5] == [
        ("staff", 3, eventual, None),
        ("staff", 3, Consistency.STRONG, moment),
    ]
    assert grouped([]) == []


def test_each_gets_its_own_rows() -> None:
    enrolled = vectors(30)
    sizes = [3, 0, 1, 5]
    probes = {n: embeddings(size, seed=n + 1) for n, size in enumerate(sizes)}
    group = Group("staff", 4, Consistency.STRONG, None, dict(probes))
    answers = search_group(INFO, filled(enrolled), group, stale=True)
    assert sorted(answers) == [0, 1, 2, 3]
    for number, answer in answers.items():
        assert isinstance(answer, SearchResult)
        assert answer.stale
        assert answer.metric is Metric.IP
        expected = nearest(Metric.IP, exact(Metric.IP, enrolled, probes[number].vectors), 4)
        assert np.array_equal(
            np.array([ids_of(found) for found in answer.candidates]).reshape(-1, 4), expected
        )


def test_one_that_does_not_fit_fails_alone() -> None:
    good = embeddings(2)
    group = Group("staff", 1, Consistency.STRONG, None, {
        3: Embeddings("another-model", vectors(2)),
        5: good,
        7: embeddings(1, DIMENSION + 1),
    })  # fmt: skip
    answers = search_group(INFO, filled(vectors(30)), group, stale=False)
    assert isinstance(answers[3], GalleryMismatchError)
    assert isinstance(answers[7], GalleryMismatchError)
    assert isinstance(answers[5], SearchResult)
    assert [ids_of(found) for found in answers[5].candidates] == [[0], [1]]
    only_bad = Group("staff", 1, Consistency.STRONG, None, {0: embeddings(1, DIMENSION + 1)})
    (answer,) = search_group(INFO, filled(vectors(30)), only_bad, stale=False).values()
    assert isinstance(answer, GalleryMismatchError)
