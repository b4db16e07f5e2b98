"""Metrics: every one there is, and how they get into Ray's exporter.

``DEFINITIONS`` is the one table: dashboards, alerts and docs/observability.md are held against it.
What is counted is decided by those who are observed. Ray puts ``ray_`` before a name and
``_total`` behind a counter's, and adds deployment, replica and application to the labels; all
labels of ours have few values: no key of a gallery, no path. The names of the stages are those of
``Server-Timing``.

Metrics that are off are the null object: ``NoMeters``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from serve_app.api.answered import Answered, Observe, nobody
from serve_app.batching import Admission, BatchEvent, Dropped
from serve_app.config import MetricsConfig
from serve_app.index.census import Census

SECONDS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 60)
SIZES = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)

End = Literal["ingress", "replica"]
"""Of a call to a stage: where it is sent, or where its model runs."""
ObserveBatch = Callable[[BatchEvent], None]


@dataclass(frozen=True, slots=True)
class Definition:
    name: str
    kind: Literal["counter", "histogram", "gauge"]
    help: str
    labels: tuple[str, ...] = ()
    boundaries: tuple[float, ...] = ()

    @property
    def exported(self) -> str:
        """As Prometheus sees it; of a histogram without ``_bucket``, ``_sum`` or ``_count``."""
        return f"ray_{self.name}{'_total' if self.kind == 'counter' else ''}"


REQUESTS = Definition("face_serve_requests", "counter", "Answers.", ("route", "status"))
REQUEST_LATENCY = Definition(
    "face_serve_request_latency_seconds",
    "histogram",
    "From a request's head to that of its answer.",
    ("route",),
    SECONDS,
)
STAGE_LATENCY = Definition(
    "face_serve_stage_latency_seconds",
    "histogram",
    "Seconds of a request in a stage, as Server-Timing tells them.",
    ("stage",),
    SECONDS,
)
REJECTIONS = Definition(
    "face_serve_rejections", "counter", "Answers with an error, by its code.", ("reason",)
)
IN_FLIGHT = Definition("face_serve_in_flight_requests", "gauge", "Requests under way.")
EXPECTED_WAIT = Definition(
    "face_serve_expected_wait_seconds",
    "gauge",
    "What a new request would wait for its turns: over admission.max_wait_s it is refused.",
)
QUEUE_COST = Definition(
    "face_serve_queue_cost",
    "gauge",
    "What waits to be sent to a stage: faces, or 256 KiB of image.",
    ("stage",),
)
BATCH_ITEMS = Definition(
    "face_serve_batch_items", "histogram", "Items of a batch.", ("stage", "end"), SIZES
)
BATCH_COST = Definition(
    "face_serve_batch_cost",
    "histogram",
    "Cost of a batch: faces, or 256 KiB of image.",
    ("stage", "end"),
    SIZES,
)
QUEUE_SECONDS = Definition(
    "face_serve_queue_seconds",
    "histogram",
    "How long a batch's first item waited until it was sent or run.",
    ("stage", "end"),
    SECONDS,
)
DROPPED = Definition(
    "face_serve_dropped_items",
    "counter",
    "Items that were not begun: queue full, caller gone, deadline expired.",
    ("stage", "end", "reason"),
)
STORE_UP = Definition(
    "face_serve_store_up", "gauge", "1 if the store answered this replica's last look, else 0."
)
GALLERIES = Definition("face_serve_galleries", "gauge", "Galleries in the store.")
TEMPLATES = Definition("face_serve_templates", "gauge", "Templates in the store, of all galleries.")
GALLERY_TEMPLATES = Definition(
    "face_serve_gallery_templates",
    "gauge",
    "Templates of the largest galleries, by rank; 0 where there are fewer.",
    ("rank",),
)
LOADED_GALLERIES = Definition(
    "face_serve_loaded_galleries", "gauge", "Galleries in this replica's memory."
)
LOADED_TEMPLATES = Definition(
    "face_serve_loaded_templates", "gauge", "Templates in this replica's memory."
)
SEQ_LAG = Definition(
    "face_serve_index_seq_lag",
    "gauge",
    "Changes that this replica's furthest behind gallery lacks; the next search applies them.",
)
REPLACED_GALLERIES = Definition(
    "face_serve_index_replaced_galleries",
    "gauge",
    "Galleries in this replica's memory that were built anew or dropped since.",
)

DEFINITIONS = (
    REQUESTS, REQUEST_LATENCY, STAGE_LATENCY, REJECTIONS, IN_FLIGHT, EXPECTED_WAIT, QUEUE_COST,
    BATCH_ITEMS, BATCH_COST, QUEUE_SECONDS, DROPPED, STORE_UP, GALLERIES, TEMPLATES,
    GALLERY_TEMPLATES, LOADED_GALLERIES, LOADED_TEMPLATES, SEQ_LAG, REPLACED_GALLERIES,
)  # fmt: skip


class Meters(Protocol):
    """Of one process."""

    def batches(self, stage: str, end: End) -> ObserveBatch: ...

    def answers(self) -> Observe: ...

    def gauge(self, definition: Definition) -> Callable[[float, Mapping[str, str]], None]: ...


class NoMeters:
    """Metrics that are off."""

    def batches(self, _stage: str, _end: End, /) -> ObserveBatch:
        return lambda _: None

    def answers(self) -> Observe:
        return nobody

    def gauge(self, _: Definition, /) -> Callable[[float, Mapping[str, str]], None]:
        return lambda _value, _labels: None


def open_meters(config: MetricsConfig) -> Meters:
    """In a replica: Ray's metrics take its name when they are made."""
    return RayMeters() if config.enabled else NoMeters()


class RayMeters:
    """What all of it costs is in docs/benchmarks.md: about ten a request and
    three a batch are recorded as they happen, on the event loop."""

    def batches(self, stage: str, end: End) -> ObserveBatch:
        labels = {"stage": stage, "end": end}
        items, cost = self._of(BATCH_ITEMS, labels), self._of(BATCH_COST, labels)
        queue_s, dropped = self._of(QUEUE_SECONDS, labels), self._of(DROPPED, labels)

        def observe(event: BatchEvent) -> None:
            if isinstance(event, Dropped):
                dropped.inc(1, {"reason": event.reason})
                return
            # Three a batch, not one an item.
            items.observe(len(event.waits_s))
            cost.observe(event.cost)
            queue_s.observe(max(event.waits_s))

        return observe

    def answers(self) -> Observe:
        requests, latency = self._of(REQUESTS), self._of(REQUEST_LATENCY)
        stage_s, rejections = self._of(STAGE_LATENCY), self._of(REJECTIONS)

        def observe(answered: Answered) -> None:
            requests.inc(1, {"route": answered.route, "status": str(answered.status)})
            latency.observe(answered.seconds, {"route": answered.route})
            for stage, seconds in answered.stages.items():
                stage_s.observe(seconds, {"stage": stage})
            if answered.status >= 400:
                rejections.inc(1, {"reason": answered.failure or "no_route"})

        return observe

    def gauge(self, definition: Definition) -> Callable[[float, Mapping[str, str]], None]:
        gauge = self._of(definition)
        return lambda value, labels: gauge.set(value, dict(labels))

    def _of(self, definition: Definition, labels: Mapping[str, str] | None = None) -> Any:
        """``labels``: those that are always the same."""
        from ray.serve import metrics

        of_kind = {
            "counter": metrics.Counter, "histogram": metrics.Histogram, "gauge": metrics.Gauge
        }[definition.kind]  # fmt: skip
        more = {"boundaries": list(definition.boundaries)} if definition.boundaries else {}
        made = of_kind(definition.name, definition.help, tag_keys=definition.labels, **more)
        made.set_default_tags(dict(labels or {}))
        return made


class Queue(Protocol):
    @property
    def queued_cost(self) -> int: ...


def ingress_gauges(
    meters: Meters, queues: Mapping[str, Queue], admission: Admission
) -> Callable[[], None]:
    """What publishes a look at the queues of the API, by stage; on their event loop."""
    in_flight, wait_s = meters.gauge(IN_FLIGHT), meters.gauge(EXPECTED_WAIT)
    queue_cost = meters.gauge(QUEUE_COST)

    def look() -> None:
        in_flight(admission.in_flight, {})
        wait_s(admission.expected_wait_s(), {})
        for stage, queue in queues.items():
            queue_cost(queue.queued_cost, {"stage": stage})

    return look


def index_gauges(meters: Meters, largest: int) -> Callable[[Census | None], None]:
    """What publishes a look at an Index replica and its store; None: the store did not answer."""
    up, lag = meters.gauge(STORE_UP), meters.gauge(SEQ_LAG)
    galleries, templates = meters.gauge(GALLERIES), meters.gauge(TEMPLATES)
    by_rank, replaced = meters.gauge(GALLERY_TEMPLATES), meters.gauge(REPLACED_GALLERIES)
    loaded, loaded_rows = meters.gauge(LOADED_GALLERIES), meters.gauge(LOADED_TEMPLATES)

    def publish(census: Census | None) -> None:
        up(census is not None, {})
        if census is None:
            return
        galleries(census.galleries, {})
        templates(census.templates, {})
        for rank in range(largest):
            size = census.largest[rank] if rank < len(census.largest) else 0
            by_rank(size, {"rank": str(rank + 1)})
        loaded(census.loaded_galleries, {})
        loaded_rows(census.loaded_templates, {})
        lag(census.lag, {})
        replaced(census.replaced, {})

    return publish
