"""A batch of searches as FAISS calls: requests for one gallery that ask alike share one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from serve_app.errors import FaceServeError
from serve_app.index.gallery import GalleryIndex
from serve_app.index.records import Moment, Passed, SearchRequest, check_fits
from serve_app.types import Consistency, Embeddings, GalleryInfo, SearchResult

Answer = SearchResult | Passed | FaceServeError


@dataclass(slots=True)
class Group:
    """Requests that are answered by one FAISS call: their probes by position in the batch."""

    key: str
    top_k: int
    consistency: Consistency
    at: Moment | None
    probes: dict[int, Embeddings] = field(default_factory=dict)


def grouped(requests: Sequence[SearchRequest]) -> list[Group]:
    """``requests`` by gallery and by what is asked of it."""
    groups: dict[tuple[object, ...], Group] = {}
    for position, request in enumerate(requests):
        what = (request.key, request.top_k, request.consistency, request.at)
        groups.setdefault(what, Group(*what)).probes[position] = request.probes
    return list(groups.values())


def search_group(
    info: GalleryInfo, index: GalleryIndex, group: Group, stale: bool
) -> dict[int, Answer]:
    """Each request's answer; one whose embeddings don't fit the gallery fails alone."""
    answers: dict[int, Answer] = {}
    fitting = {}
    for position, embeddings in group.probes.items():
        try:
            check_fits(info, embeddings)
            fitting[position] = embeddings.vectors
        except FaceServeError as error:
            answers[position] = error
    if fitting:
        found = iter(index.search(np.concatenate(list(fitting.values())), group.top_k))
        for position, vectors in fitting.items():
            candidates = [next(found) for _ in vectors]
            answers[position] = SearchResult(info.metric, candidates, stale)
    return answers
