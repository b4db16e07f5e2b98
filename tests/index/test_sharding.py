"""Parts of one search become one answer of one moment."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pytest

from serve_app.errors import (
    FaceServeError,
    GalleryMismatchError,
    GalleryNotFoundError,
    UnavailableError,
)
from serve_app.index.batch import Answer
from serve_app.index.records import Moment, Passed, SearchRequest
from serve_app.index.sharding import TRIES, SearchShard, ShardedSearch, merged
from serve_app.types import Candidate, Consistency, GalleryInfo, Metric, SearchResult

from .samples import DIMENSION, MODEL, embeddings

STRONG, EVENTUAL = Consistency.STRONG, Consistency.EVENTUAL
DOWN = UnavailableError("the gallery store is unavailable")


def part(*candidates: tuple[int, float], stale: bool = False) -> SearchResult:
    found = [Candidate(number, str(number), score) for number, score in candidates]
    return SearchResult(Metric.IP, [found], stale)


def ids(result: SearchResult) -> list[list[int]]:
    return [[candidate.template_id for candidate in found] for found in result.candidates]


@pytest.mark.parametrize("metric", Metric)
@pytest.mark.parametrize("top_k", [0, 1, 3, 10, 100])
@pytest.mark.parametrize("of", [1, 2, 5])
def test_merged_as_by_hand(metric: Metric, top_k: int, of: int) -> None:
    """Scores with many ties, as of one face that was enrolled twice."""
    chance = np.random.default_rng(of)
    sign = -1 if metric is Metric.IP else 1
    every = [
        [Candidate(n, str(n), float(score)) for n, score in enumerate(chance.integers(0, 5, 30))]
        for _ in range(4)
    ]
    parts = []
    for number in range(of):
        mine = [[c for c in probe if c.template_id % of == number] for probe in every]
        near = [sorted(p, key=lambda c: (sign * c.score, c.template_id))[:top_k] for p in mine]
        parts.append(SearchResult(metric, near))
    expected = [sorted(p, key=lambda c: (sign * c.score, c.template_id))[:top_k] for p in every]
    assert merged(parts, top_k) == SearchResult(metric, expected)


def test_merged_of_little() -> None:
    assert ids(merged([part(), part((3, 0.5)), part()], 5)) == [[3]]
    assert ids(merged([part(), part()], 5)) == [[]]
    assert merged([SearchResult(Metric.L2, [])] * 2, 5).candidates == []


@pytest.mark.parametrize("stale", [(False, False), (True, False), (False, True), (True, True)])
def test_one_stale_part_makes_it_stale(stale: tuple[bool, bool]) -> None:
    result = merged([part(stale=each) for each in stale], 1)
    assert result.stale is any(stale)


class Shards:
    """Two shards that answer by a script: at which moment each is when it is asked. None: at the
    one that is asked for."""

    def __init__(self, *scripts: Sequence[Moment | FaceServeError | None]) -> None:
        self.asked: list[list[SearchRequest]] = []
        self.described: list[list[str]] = []
        self.down = False
        self.standing = {"staff": Moment("a", 5), "guests": Moment("b", 1)}
        self._scripts = [list(script) for script in scripts]
        self.search = ShardedSearch([self._shard(n) for n in range(len(scripts))], self._describe)

    def _shard(self, number: int) -> SearchShard:
        async def search(requests: list[SearchRequest]) -> list[Answer]:
            self.asked.append(requests)
            script = self._scripts[number]
            now = script.pop(0) if script else None
            return [self._answer(number, request, now) for request in requests]

        return search

    def _answer(
        self, number: int, request: SearchRequest, now: Moment | FaceServeError | None
    ) -> Answer:
        if isinstance(now, FaceServeError):
            return now
        if now is not None and request.at is not None and now != request.at:
            return Passed(now)
        return part((number, 0.5), stale=request.at is None)

    async def _describe(self, keys: list[str]) -> Mapping[str, GalleryInfo]:
        self.described.append(keys)
        if self.down:
            raise DOWN
        return {
            key: GalleryInfo(
                key, moment.generation, moment.seq, "Flat", Metric.IP, DIMENSION, MODEL
            )
            for key, moment in self.standing.items()
            if key in keys
        }

    @property
    def moments(self) -> list[Moment | None]:
        """That each call asked for."""
        return [requests[0].at for requests in self.asked]


def request(key: str = "staff", consistency: Consistency = STRONG) -> SearchRequest:
    return SearchRequest(key, embeddings(1), 5, consistency)


async def one(shards: Shards) -> SearchResult | FaceServeError:
    (answer,) = await shards.search.search([request()])
    return answer


async def test_all_are_asked_for_one_moment() -> None:
    shards = Shards([], [])
    result = await one(shards)
    assert isinstance(result, SearchResult)
    assert ids(result) == [[0, 1]]
    assert not result.stale
    assert shards.moments == [Moment("a", 5)] * 2


async def test_nothing_is_asked_for_nothing() -> None:
    shards = Shards([], [])
    assert await shards.search.search([]) == []
    assert (shards.asked, shards.described) == ([], [])


async def test_a_shard_that_is_past_it_moves_all_on() -> None:
    shards = Shards([None, None, Moment("a", 9)], [Moment("a", 7), Moment("a", 9)])
    result = await one(shards)
    assert isinstance(result, SearchResult)
    assert shards.moments == [Moment("a", 5)] * 2 + [Moment("a", 7)] * 2 + [Moment("a", 9)] * 2


async def test_the_latest_of_several() -> None:
    shards = Shards([Moment("a", 6)], [Moment("a", 8)], [Moment("a", 7)])
    await one(shards)
    assert shards.moments[3:] == [Moment("a", 8)] * 3


async def test_a_gallery_that_was_built_anew_has_the_later_moment() -> None:
    """Though its seq is less."""
    shards = Shards([Moment("a", 9)], [Moment("z", 1)])
    await one(shards)
    assert shards.moments[2:] == [Moment("z", 1)] * 2


async def test_it_gives_up() -> None:
    shards = Shards([Moment("a", 6 + n) for n in range(2 * TRIES)], [None] * 2 * TRIES)
    result = await one(shards)
    assert isinstance(result, UnavailableError)
    assert "changes faster" in str(result)
    assert len(shards.asked) == 2 * TRIES


async def test_the_last_try_may_succeed() -> None:
    script = [Moment("a", 6 + n) for n in range(TRIES - 1)]
    shards = Shards(script, [])
    assert isinstance(await one(shards), SearchResult)


async def test_an_error_of_one_shard_is_the_answer() -> None:
    """Also where another is past the moment: part of a gallery is no answer."""
    error = GalleryMismatchError("another model")
    assert await one(Shards([None], [error])) is error
    assert await one(Shards([Moment("a", 9)], [error])) is error


async def test_a_shard_that_does_not_answer() -> None:
    async def dead(requests: list[SearchRequest]) -> Sequence[Answer]:
        raise DOWN

    shards = Shards([], [])
    search = ShardedSearch([shards._shard(0), dead], shards._describe)
    with pytest.raises(UnavailableError):
        await search.search([request()])


async def test_requests_of_a_batch_keep_their_places() -> None:
    shards = Shards([Moment("b", 1)], [])
    asked = [request("nobody"), request(), request("guests"), request("nobody"),
             request("guests", EVENTUAL)]  # fmt: skip
    answers = await shards.search.search(asked)
    kinds = [type(each) for each in answers]
    assert kinds == [GalleryNotFoundError, SearchResult, SearchResult, GalleryNotFoundError,
                     SearchResult]  # fmt: skip
    assert shards.described == [["guests", "nobody", "staff"]]
    # Once all but those of nobody; then only the one that was passed.
    assert [len(requests) for requests in shards.asked] == [3, 3, 1, 1]
    assert [each.at for each in shards.asked[0]] == [Moment("a", 5), Moment("b", 1), None]


async def test_without_the_store_eventual_ones_go_on() -> None:
    shards = Shards([], [])
    shards.down = True
    strong, eventual = await shards.search.search([request(), request("staff", EVENTUAL)])
    assert strong is DOWN
    assert isinstance(eventual, SearchResult)
    assert eventual.stale
    assert [len(requests) for requests in shards.asked] == [1, 1]
    assert isinstance((await shards.search.search([request("staff", EVENTUAL)]))[0], SearchResult)
    assert len(shards.described) == 1, "eventual ones ask nobody"
