"""The networks' ports over handles in memory, down to the work of the replicas' threads."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence

import numpy as np
import pytest
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from serve_app.batching import Admission
from serve_app.config import AdmissionSettings, BatchSettings
from serve_app.deployments.calls import CallId, StageCall, StageReply
from serve_app.deployments.clients import RayDetector, RayExtractor
from serve_app.deployments.metrics import NoMeters
from serve_app.deployments.replica import BatchedWorker, timed
from serve_app.errors import (
    DeadlineExceededError,
    FaceServeError,
    InvalidImageError,
    OverloadedError,
    UnavailableError,
)
from serve_app.models.detector import DetectAnswer, DetectItem
from serve_app.request_context import UNTRACED, RequestContext, Spans, Trace, in_request
from serve_app.tracing import OpenTelemetry, Tracing
from serve_app.types import Crops, Embeddings, Face
from tests.deployments.handles import Handle


class Detector:
    """A replica whose stage finds no face, and begins when the test lets it."""

    def __init__(self, tracing: Tracing | None = None) -> None:
        self.begun: list[bytes] = []
        self._started, self._go = threading.Semaphore(0), threading.Semaphore(0)
        self._worker: BatchedWorker[DetectItem, DetectAnswer] = BatchedWorker(
            self._work, cost=lambda item: item.cost, singly=True, tracing=tracing
        )

    async def detect(self, call: StageCall[DetectItem]) -> StageReply[DetectAnswer]:
        return await self._worker.answer(call)

    async def forget(self, gone: Sequence[tuple[CallId, int]]) -> None:
        self._worker.forget(gone)

    async def started(self) -> None:
        assert await asyncio.to_thread(self._started.acquire, timeout=30)

    def go_on(self, times: int = 1) -> None:
        self._go.release(times)

    def _work(
        self, items: Sequence[DetectItem], spans: Sequence[Spans]
    ) -> list[DetectAnswer | FaceServeError]:
        self.begun += [item.image for item in items]
        self._started.release()
        assert self._go.acquire(timeout=30)
        spans[0].add("detect", 1.5)
        faces: list[Face] = []
        return [faces for _ in items]


class Extractor:
    """A replica whose vectors are the crops' first pixels. A black crop can't be embedded."""

    def __init__(self, model_id: str = "model") -> None:
        self.calls: list[list[int]] = []
        self._model_id = model_id
        self._worker: BatchedWorker[Crops, Embeddings] = BatchedWorker(
            timed("extract", self._work), cost=len
        )

    async def extract(self, call: StageCall[Crops]) -> StageReply[Embeddings]:
        self.calls.append([len(crops) for crops in call.items])
        return await self._worker.answer(call)

    def _work(self, items: Sequence[Crops]) -> list[Embeddings | FaceServeError]:
        return [
            Embeddings(self._model_id, crops[:, 0, 0].astype(np.float32))
            if crops[:, 0, 0].all()
            else InvalidImageError("blank")
            for crops in items
        ]


def crops(count: int) -> Crops:
    numbers = np.arange(1, count + 1, dtype=np.uint8)
    return np.broadcast_to(numbers[:, None, None, None], (count, 112, 112, 3)).copy()


def extractor(*replicas: Extractor, max_cost: int = 8) -> RayExtractor:
    port = RayExtractor(Handle(*replicas), 60, Admission(), NoMeters())
    port.configure(BatchSettings(slots=2, max_cost=max_cost))
    return port


# --- many faces ---


@pytest.mark.parametrize(("faces", "parts"), [(1, [1]), (8, [8]), (9, [4, 5]), (30, [7, 7, 8, 8])])
async def test_many_faces_are_sent_in_parts_to_all_replicas(faces: int, parts: list[int]) -> None:
    replicas = Extractor(), Extractor()
    context = RequestContext()
    with in_request(context):
        embeddings = await asyncio.wait_for(extractor(*replicas).extract(crops(faces)), 30)
    assert embeddings.vectors[:, 0].tolist() == list(range(1, faces + 1))
    sent = [size for replica in replicas for call in replica.calls for size in call]
    assert sorted(sent) == parts
    assert all(replica.calls for replica in replicas) or len(parts) == 1
    assert set(context.spans.seconds) == {"queue", "extract"}


async def test_one_bad_face_fails_its_image_as_it_would_in_one_part() -> None:
    bad = crops(20)
    bad[12] = 0
    with pytest.raises(InvalidImageError):
        await asyncio.wait_for(extractor(Extractor()).extract(bad), 30)


async def test_parts_of_two_models_are_not_joined() -> None:
    port = extractor(Extractor("old"), Extractor("new"))
    with pytest.raises(UnavailableError, match="replaced"):
        await asyncio.wait_for(port.extract(crops(16)), 30)


# --- clients that went away, deadlines, overload ---


class Detecting:
    """A port to one replica. ``batch`` images are one call."""

    def __init__(self, batch: int = 8, tracing: Tracing | None = None, **admission: float) -> None:
        self.replica = Detector(tracing)
        self.admission = Admission()
        self.admission.configure(AdmissionSettings.model_validate(admission))
        self.port = RayDetector(Handle(self.replica), 60, self.admission, NoMeters())
        self.port.configure(BatchSettings(slots=1, max_cost=batch))

    def ask(
        self, image: bytes, within_s: float = 60, trace: Trace = UNTRACED
    ) -> asyncio.Task[list[Face]]:
        with in_request(RequestContext.within(within_s, trace=trace)):
            return asyncio.create_task(self.port.detect(image, 0.5))


async def settle() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


async def test_work_at_a_replica_is_not_begun_when_its_client_went_away() -> None:
    detecting = Detecting()
    replica = detecting.replica
    first = detecting.ask(b"first")
    await replica.started()
    rest = [detecting.ask(image) for image in (b"a", b"b", b"c")]
    await settle()
    replica.go_on()
    await first
    await replica.started()  # a, of the call with all three
    rest[1].cancel()
    await asyncio.sleep(0.1)  # until the replica was told
    replica.go_on(9)
    assert list(await asyncio.gather(rest[0], rest[2])) == [[], []]
    assert replica.begun == [b"first", b"a", b"c"]


async def test_a_call_nobody_waits_for_ends_and_its_slot_is_free() -> None:
    detecting = Detecting()
    replica = detecting.replica
    busy = detecting.ask(b"busy")
    await replica.started()
    rest = [detecting.ask(image) for image in (b"a", b"b")]
    await settle()
    busy.cancel()
    await settle()
    assert replica.begun == [b"busy"]  # it goes on: what is begun can't be stopped
    for task in rest:
        task.cancel()
    await settle()
    late = detecting.ask(b"late")
    replica.go_on(9)
    assert await asyncio.wait_for(late, 30) == []
    assert replica.begun == [b"busy", b"late"]


async def test_what_is_past_its_deadline_at_a_replica_is_not_begun() -> None:
    detecting = Detecting()
    replica = detecting.replica
    first = detecting.ask(b"first")
    await replica.started()
    rest = [detecting.ask(b"a"), detecting.ask(b"b", 0.2), detecting.ask(b"c")]
    await settle()
    replica.go_on()
    await first
    await replica.started()
    await asyncio.sleep(0.3)
    replica.go_on(9)
    answers = await asyncio.gather(*rest, return_exceptions=True)
    assert [answers[0], answers[2]] == [[], []]
    assert isinstance(answers[1], DeadlineExceededError)
    assert replica.begun == [b"first", b"a", b"c"]


async def test_time_at_the_replica_is_told_to_the_request() -> None:
    detecting, context = Detecting(), RequestContext()
    detecting.replica.go_on()
    with in_request(context):
        await asyncio.wait_for(detecting.port.detect(b"a", 0.5), 30)
    assert context.spans.seconds["detect"] == 1.5
    assert context.spans.seconds["queue"] >= 0


async def test_spans_of_a_call_and_of_a_batch_that_serves_two_requests() -> None:
    kept = InMemorySpanExporter()
    tracing = OpenTelemetry(1.0, "test", kept)
    detecting = Detecting(tracing=tracing)
    detecting.replica.go_on(9)
    requests = [tracing.request([]) for _ in range(2)]
    await asyncio.gather(
        *(detecting.ask(b"traced", trace=trace) for trace in requests),
        detecting.ask(b"untraced"),
    )
    for trace in requests:
        trace.end()
    tracing.close()
    spans = {span.context.span_id: span for span in kept.get_finished_spans()}
    for trace in requests:
        path = ["detect", "detector call", "request"]
        (span,) = [
            span
            for span in spans.values()
            if span.name == path[0] and f"{span.context.trace_id:032x}" == trace.trace_id
        ]
        for name in path:
            assert span.name == name
            if span.parent is not None:
                span = spans[span.parent.span_id]
    links = [link for span in spans.values() if span.name == "batch" for link in span.links]
    assert {f"{link.context.trace_id:032x}" for link in links} == {
        trace.trace_id for trace in requests
    }


async def test_new_requests_are_turned_away_where_too_much_waits_and_old_ones_are_not() -> None:
    detecting = Detecting(batch=1, max_wait_s=0.01, overload_wait_s=0.01)
    replica = detecting.replica
    old = RequestContext(admitted=True)
    first = detecting.ask(b"first")
    await replica.started()
    await asyncio.sleep(0.1)  # so slow is it
    replica.go_on()
    await first
    new = [detecting.ask(str(number).encode()) for number in range(20)]
    await settle()
    waiting = [task for task in new if not task.done()]
    assert {type(task.exception()) for task in new if task.done()} == {OverloadedError}
    with in_request(old):
        waiting.append(asyncio.create_task(detecting.port.detect(b"old", 0.5)))
    replica.go_on(99)
    await asyncio.wait_for(asyncio.gather(*waiting), 30)
    assert 3 < len(waiting) < 12  # its own time several times over is no reason
    assert len(replica.begun) == 1 + len(waiting)
    assert replica.begun[-1] == b"old"
