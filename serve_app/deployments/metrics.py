"""Metrics of the queues and of the stages, through Ray's exporter.

What is counted is decided by those who are observed; here it only gets its names.

The names of the stages are those of ``Server-Timing``. Ray adds deployment, replica and application
to each metric, and ``ray_`` before its name.
"""

from __future__ import annotations

from typing import Literal

from ray.serve import metrics

from serve_app.batching import BatchEvent, Dropped
from serve_app.request_context import Spans

SECONDS = [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 60]
SIZES = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024]


class BatchMetrics:
    """Of one batcher: ``end`` tells whether it sends the calls to a stage or runs its model."""

    def __init__(self, stage: str, end: Literal["ingress", "replica"]) -> None:
        self._tags = {"stage": stage, "end": end}
        tag_keys = ("stage", "end")
        self._items = metrics.Histogram(
            "face_serve_batch_items", "Items of a batch.", boundaries=SIZES, tag_keys=tag_keys
        )
        self._cost = metrics.Histogram(
            "face_serve_batch_cost",
            "Cost of a batch: faces, or 256 KiB of image.",
            boundaries=SIZES,
            tag_keys=tag_keys,
        )
        self._queue_s = metrics.Histogram(
            "face_serve_queue_seconds",
            "How long a batch's first item waited until it was sent or run.",
            boundaries=SECONDS,
            tag_keys=tag_keys,
        )
        self._dropped = metrics.Counter(
            "face_serve_dropped",
            "Items that were not begun: queue full, caller gone, deadline expired.",
            tag_keys=(*tag_keys, "reason"),
        )

    def __call__(self, event: BatchEvent) -> None:
        if isinstance(event, Dropped):
            self._dropped.inc(1, {**self._tags, "reason": event.reason})
            return
        # Three a batch, not one an item: each takes as long as reading a small request.
        self._items.observe(len(event.waits_s), dict(self._tags))
        self._cost.observe(event.cost, dict(self._tags))
        self._queue_s.observe(max(event.waits_s), dict(self._tags))


class RequestMetrics:
    """Of the API: answers by status, and where the time of requests went."""

    def __init__(self) -> None:
        self._answers = metrics.Counter(
            "face_serve_answers", "Answers by HTTP status.", tag_keys=("status",)
        )
        self._stage_s = metrics.Histogram(
            "face_serve_stage_seconds",
            "Seconds of a request in a stage, as Server-Timing tells them.",
            boundaries=SECONDS,
            tag_keys=("stage",),
        )

    def __call__(self, status: int, spans: Spans) -> None:
        self._answers.inc(1, {"status": str(status)})
        for stage, seconds in spans.seconds.items():
            self._stage_s.observe(seconds, {"stage": stage})
