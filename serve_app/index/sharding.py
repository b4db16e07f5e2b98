"""One search over all shards of a gallery, as of one moment.

Every shard answers for the same (generation, seq), so that a search sees a prefix of the gallery's
history, as it does without shards: never a later change without an earlier one. A shard that is
past the moment says so, and all are asked again for the later one. Results of Flat equal the
unsharded index's; recall of others is that of their shards.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace

from serve_app.errors import FaceServeError, GalleryNotFoundError, UnavailableError
from serve_app.index.batch import Answer
from serve_app.index.records import Moment, Passed, SearchRequest
from serve_app.types import Candidate, Consistency, GalleryInfo, Metric, SearchResult

SearchShard = Callable[[list[SearchRequest]], Awaitable[Sequence[Answer]]]
Describe = Callable[[list[str]], Awaitable[Mapping[str, GalleryInfo]]]

TRIES = 20
"""A try fails only while other searches move some shards on between two calls of this one."""


class ShardedSearch:
    """Searches of one gallery's parts, merged. ``describe`` asks the store."""

    def __init__(self, shards: Sequence[SearchShard], describe: Describe) -> None:
        self._shards = shards
        self._describe = describe

    async def search(
        self, requests: Sequence[SearchRequest]
    ) -> list[SearchResult | FaceServeError]:
        """One answer a request, in order; a bad request fails alone, with its error as its answer.
        So do strong ones where the store doesn't answer.

        Raises UnavailableError where a shard doesn't answer.
        """
        answers: dict[int, SearchResult | FaceServeError] = {}
        waiting = await self._dated(requests, answers)
        for _ in range(TRIES):
            if not waiting:
                break
            waiting = await self._ask(waiting, answers)
        busy = UnavailableError("the gallery changes faster than its shards follow; try again")
        return [answers.get(position, busy) for position in range(len(requests))]

    async def _dated(
        self, requests: Sequence[SearchRequest], answers: dict[int, SearchResult | FaceServeError]
    ) -> dict[int, SearchRequest]:
        """Strong requests with the moment they ask for; eventual ones as they are."""
        strong = {i: r for i, r in enumerate(requests) if r.consistency is Consistency.STRONG}
        keys = sorted({request.key for request in strong.values()})
        waiting = dict(enumerate(requests))
        try:
            standing = await self._describe(keys) if keys else {}
        except FaceServeError as error:  # the eventual ones in the batch can do without
            answers |= dict.fromkeys(strong, error)
            return {i: request for i, request in waiting.items() if i not in strong}
        for position, request in strong.items():
            info = standing.get(request.key)
            if info is None:
                del waiting[position]
                answers[position] = GalleryNotFoundError(
                    f"gallery {request.key} does not exist; build it first"
                )
            else:
                moment = Moment(info.generation, info.seq)
                waiting[position] = replace(request, at=moment)
        return waiting

    async def _ask(
        self,
        waiting: dict[int, SearchRequest],
        answers: dict[int, SearchResult | FaceServeError],
    ) -> dict[int, SearchRequest]:
        """Ask all shards; what has to be asked again."""
        asked = list(waiting.values())
        replies = await asyncio.gather(*(shard(asked) for shard in self._shards))
        again: dict[int, SearchRequest] = {}
        for place, (position, request) in enumerate(waiting.items()):
            parts = [reply[place] for reply in replies]
            passed = [part.now for part in parts if isinstance(part, Passed)]
            errors = [part for part in parts if isinstance(part, FaceServeError)]
            if errors:
                answers[position] = errors[0]
            elif passed:
                again[position] = replace(request, at=_latest(request, passed))
            else:
                found = [part for part in parts if isinstance(part, SearchResult)]
                answers[position] = merged(found, request.top_k)
        return again


def merged(parts: Sequence[SearchResult], top_k: int) -> SearchResult:
    """The ``top_k`` nearest of all parts for each probe, nearest first, ties by id; of what is
    equally near at the cut, what the parts have chosen."""
    sign = -1 if parts[0].metric is Metric.IP else 1

    def nearness(candidate: Candidate) -> tuple[float, int]:
        return sign * candidate.score, candidate.template_id

    candidates = [
        sorted((c for part in probe for c in part), key=nearness)[:top_k]
        for probe in zip(*(part.candidates for part in parts), strict=True)
    ]
    return SearchResult(parts[0].metric, candidates, any(part.stale for part in parts))


def _latest(request: SearchRequest, passed: Sequence[Moment]) -> Moment:
    """The newest of the moments; of another generation if the gallery was built anew."""
    assert request.at is not None
    moved = [moment for moment in passed if moment.generation != request.at.generation]
    return max(moved or passed, key=lambda moment: moment.seq)
