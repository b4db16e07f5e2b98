"""The HTTP application over fakes, and a client of it in this process."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Any

import httpx
from fastapi import FastAPI

from serve_app.access.ring import KeyRing
from serve_app.api.app import create_app
from serve_app.api.edge import Edge
from serve_app.api.images import Fetcher
from serve_app.api.watching import Watching
from serve_app.config import Limits, PipelineConfig
from serve_app.service import (
    GalleryService,
    JobService,
    RecognitionService,
    RecordService,
    TenantAuditLog,
    TenantGalleries,
    TenantIndex,
    TenantJobs,
    TenantPeople,
)
from tests.fakes import FakeDetector, FakeExtractor, FakeFetcher, MemoryIndex, MemoryJobs
from tests.memory_records import MemoryRecords

BUILD = "/face-recognition-index-build"
ADD = "/face-recognition-index-add"
REMOVE = "/face-recognition-index-remove"
INFER = "/face-recognition-infer"
BATCH = "/v1/infer:batch"


class Api:
    def __init__(
        self,
        config: PipelineConfig | None = None,
        limits: Limits | None = None,
        fetcher: Fetcher | None = None,
        inputs: Sequence[str] = ("/photos", "s3://bucket/people"),
        watching: Watching | None = None,
        ring: KeyRing | None = None,
        edge: Edge | None = None,
        root: str = "",
    ) -> None:
        config, limits = config or PipelineConfig(), limits or Limits()
        self.detector = FakeDetector(limits.image)
        self.extractor = FakeExtractor()
        self.index = MemoryIndex()
        self.jobs = MemoryJobs()
        self.records = MemoryRecords()
        self.fetcher = fetcher or FakeFetcher()
        index = TenantIndex(self.index)
        service = RecognitionService(self.detector, self.extractor, index, config)
        self.app: FastAPI = create_app(
            service,
            GalleryService(TenantGalleries(self.index)),
            JobService(TenantJobs(self.jobs), inputs),
            RecordService(TenantPeople(self.records), TenantAuditLog(self.records)),
            self.fetcher,
            config,
            limits,
            watching=watching,
            ring=ring,
            edge=edge,
        )
        self._client = httpx.AsyncClient(
            transport=httpx.ASGITransport(self.app, root_path=root), base_url="http://service"
        )

    async def post(
        self, path: str, body: dict[str, Any], headers: dict[str, str] | None = None
    ) -> httpx.Response:
        return await self._client.post(path, json=body, headers=headers)

    async def send(self, method: str, path: str, **kwargs: Any) -> httpx.Response:
        return await self._client.request(method, path, **kwargs)

    async def build(self, *pairs: tuple[bytes, str], **fields: Any) -> httpx.Response:
        return await self.post(BUILD, {"imageLabelPairs": wire_pairs(*pairs), **fields})

    async def works(self, image: bytes) -> bool:
        """Whether the next ordinary request is answered as if nothing had been."""
        built = await self.build((image, "a"))
        key = built.json()["result"]["indexKey"]
        found = await self.post(INFER, {"image": wire(image), "indexKey": key, "visualize": False})
        faces = found.json()["result"]["faces"]
        return bool(faces and faces[0]["recResults"][0]["label"] == "a")


def wire(image: bytes) -> str:
    return base64.b64encode(image).decode("ascii")


def wire_pairs(*pairs: tuple[bytes, str]) -> list[dict[str, str]]:
    return [{"image": wire(image), "label": label} for image, label in pairs]


def result(response: httpx.Response, status: int = 200) -> dict[str, Any]:
    """The result of a reply that must be a success, in the envelope of one."""
    body: dict[str, Any] = response.json()
    assert response.status_code == status, body
    assert list(body) == ["logId", "errorCode", "errorMsg", "result"]
    assert (body["errorCode"], body["errorMsg"]) == (0, "Success")
    answer: dict[str, Any] = body["result"]
    return answer


def failure(response: httpx.Response, status: int) -> str:
    """The message of a reply that must be this failure, in the envelope of one."""
    body = response.json()
    assert response.status_code == status, body
    assert response.headers["content-type"] == "application/json"
    assert list(body) == ["logId", "errorCode", "errorMsg"]
    assert body["errorCode"] == status
    return str(body["errorMsg"])
