"""The ports Index and Galleries over Ray handles."""

from __future__ import annotations

import time
from collections.abc import Sequence
from functools import partial

from ray.serve.handle import DeploymentHandle

from serve_app.batching import Admission, Batcher, Piece
from serve_app.config import BatchSettings
from serve_app.deployments.metrics import Meters
from serve_app.deployments.stage_caller import StageCaller
from serve_app.deployments.store_caller import StoreCaller
from serve_app.errors import FaceServeError, GalleryNotFoundError
from serve_app.index.batch import Answer as ShardAnswer
from serve_app.index.mutations import (
    Add,
    Create,
    Drop,
    Mutation,
    Optimize,
    Remove,
    RemoveLabel,
    unnamed,
)
from serve_app.index.records import SearchRequest
from serve_app.index.sharding import ShardedSearch
from serve_app.request_context import current_request
from serve_app.types import (
    Caller,
    Consistency,
    Embeddings,
    GalleryEntry,
    GalleryInfo,
    Metric,
    Operation,
    Receipt,
    SearchResult,
    TemplateEntry,
)

LOOK_FIRST = (
    "the change may have been made all the same: send it again with the same Idempotency-Key, or "
    "look first"
)


class RayIndex:
    """The ports Index and Galleries over the Index deployments, one of each shard.

    Searches are coalesced. Whatever was sent to a replica that died is sent again: a search changes
    nothing, and a change is made once, by its operation.
    """

    def __init__(
        self,
        shards: Sequence[DeploymentHandle],
        timeout_s: float,
        admission: Admission,
        meters: Meters,
    ) -> None:
        self._shards = [StageCaller("index", handle, timeout_s) for handle in shards]
        self._store = StoreCaller(self._shards[0])  # each has it; any replica will do
        self._batcher: Batcher[SearchRequest, SearchResult] = Batcher(
            self._send if len(shards) > 1 else self._shards[0].sender("search"),
            BatchSettings(),
            cost=lambda request: request.cost,
            retry=True,
            together=True,
            abandon=True,
            observe=meters.batches("index", "ingress"),
        )
        admission.watch(self._batcher)

    @property
    def queued_cost(self) -> int:
        return self._batcher.queued_cost

    def configure(self, settings: BatchSettings) -> None:
        self._batcher.configure(settings)

    async def search(
        self,
        key: str,
        probes: Embeddings,
        top_k: int,
        *,
        consistency: Consistency = Consistency.STRONG,
    ) -> SearchResult:
        request = SearchRequest(key, probes, top_k, consistency)
        return await self._batcher.submit(request, current_request())

    async def build(
        self,
        key: str,
        index_type: str,
        metric: Metric,
        labels: Sequence[str],
        embeddings: Embeddings,
        *,
        with_labels: bool,
        operation: Operation | None = None,
    ) -> Receipt:
        named = operation or unnamed()
        mutation = Create(
            key, index_type, metric, list(labels), embeddings, with_labels, named, _caller()
        )
        return await self._change(mutation)

    async def add(
        self,
        key: str,
        labels: Sequence[str],
        embeddings: Embeddings,
        *,
        with_labels: bool,
        operation: Operation | None = None,
    ) -> Receipt:
        named = operation or unnamed()
        return await self._change(Add(key, list(labels), embeddings, with_labels, named, _caller()))

    async def remove(
        self,
        key: str,
        ids: Sequence[int],
        *,
        with_labels: bool,
        operation: Operation | None = None,
    ) -> Receipt:
        named = operation or unnamed()
        return await self._change(Remove(key, list(ids), with_labels, named, _caller()))

    async def remove_label(
        self, key: str, label: str, *, operation: Operation | None = None
    ) -> Receipt:
        return await self._change(RemoveLabel(key, label, operation or unnamed(), _caller()))

    async def drop(self, key: str, *, operation: Operation | None = None) -> Receipt:
        return await self._change(Drop(key, operation or unnamed(), _caller()))

    async def optimize(self, key: str, *, operation: Operation | None = None) -> Receipt:
        return await self._change(Optimize(key, operation or unnamed(), _caller()))

    async def answered(self, operation: Operation, *, with_labels: bool = False) -> Receipt | None:
        receipt: Receipt | None = await self._store.ask("answer_to", operation, with_labels)
        return receipt

    async def describe(self, key: str) -> GalleryInfo:
        found = await self._describe([key])
        if key not in found:
            raise GalleryNotFoundError(f"gallery {key} does not exist; build it first")
        return found[key]

    async def list(
        self, after: str, limit: int, *, tenant: str | None = None
    ) -> Sequence[GalleryEntry]:
        entries: Sequence[GalleryEntry] = await self._store.ask("galleries", after, limit, tenant)
        return entries

    async def entry(self, key: str) -> GalleryEntry:
        entry: GalleryEntry = await self._store.ask("entry", key)
        return entry

    async def templates(
        self, key: str, label: str | None, after: int, limit: int
    ) -> Sequence[TemplateEntry]:
        entries: Sequence[TemplateEntry] = await self._store.ask(
            "templates", key, label, after, limit
        )
        return entries

    async def _describe(self, keys: Sequence[str]) -> dict[str, GalleryInfo]:
        found: dict[str, GalleryInfo] = await self._store.ask("describe", keys)
        return found

    async def _change(self, mutation: Mutation) -> Receipt:
        """Sent again if its replica died: its operation sees to it that it is made once."""
        receipt: Receipt = await self._store.ask("change", mutation, advice=LOOK_FIRST)
        return receipt

    async def _send(
        self, pieces: Sequence[Piece[SearchRequest]]
    ) -> Sequence[SearchResult | FaceServeError]:
        """A batch to all shards. They are asked several times, so their own spans overlap: what an
        item took is the whole."""
        begun = time.monotonic()
        deadline = max(piece.context.deadline for piece in pieces)

        async def search(
            shard: StageCaller, asked: Sequence[SearchRequest]
        ) -> Sequence[ShardAnswer]:
            left_s = deadline - time.monotonic()
            reply = await shard.ask("search", asked, [left_s] * len(asked))
            answers: Sequence[ShardAnswer] = reply.answers
            return answers

        sharded = ShardedSearch([partial(search, shard) for shard in self._shards], self._describe)
        try:
            return await sharded.search([piece.item for piece in pieces])
        finally:
            for piece in pieces:
                piece.context.spans.add("search", time.monotonic() - begun)


def _caller() -> Caller:
    """The context stays here: whoever makes the change is told who asked for it."""
    return current_request().caller
