"""Must hold 3, without Ray: the whole HTTP app in this process beside the Python API."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from serve_app import create_pipeline
from serve_app.api.app import create_app
from serve_app.config import Limits, load_pipeline
from serve_app.fetching import Fetcher
from tests.conformance.replay import PIPELINE
from tests.congruence.pictures import real_pictures, stand_in_pictures
from tests.congruence.scenarios import InProcess, OverHttp, assert_congruent
from tests.ports import local_services


class App:
    """The app under a test client, on an event loop of its own."""

    def __init__(self, pipeline: str, directory: Path) -> None:
        self._loop = asyncio.new_event_loop()
        self._client = self._loop.run_until_complete(self._open(pipeline, directory))

    async def _open(self, pipeline: str, directory: Path) -> httpx.AsyncClient:
        config, limits = load_pipeline(pipeline), Limits()
        fetcher = Fetcher(max_bytes=limits.image_bytes, timeout_s=5)
        app = create_app(*local_services(config, directory), fetcher, config, limits)
        return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://service")

    def post(self, operation: str, body: dict[str, Any]) -> Any:
        reply = self._loop.run_until_complete(
            self._client.post(f"/face-recognition-{operation}", json=body)
        )
        assert reply.status_code == 200, reply.text
        return reply.json()["result"]

    def close(self) -> None:
        self._loop.run_until_complete(self._client.aclose())
        self._loop.close()


@pytest.fixture(
    scope="module", params=["stand-ins", pytest.param("real", marks=pytest.mark.models)]
)
def pair(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[App, InProcess, bool]]:
    real = request.param == "real"
    pipeline = "face_recognition" if real else str(PIPELINE)
    app = App(pipeline, tmp_path_factory.mktemp("service"))
    yield app, InProcess(create_pipeline(pipeline)), real
    app.close()


@pytest.mark.parametrize("seed", range(6))
def test_same_answers(pair: tuple[App, InProcess, bool], seed: int) -> None:
    app, in_process, real = pair
    pictures = real_pictures() if real else stand_in_pictures()
    known = assert_congruent(OverHttp(app.post), in_process, pictures, seed=seed, steps=25)
    assert known > 0
