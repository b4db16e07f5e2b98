"""Must hold 2: every golden of both releases passes or is explained by a clause of CONTRACT."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest
import pytest_asyncio

from serve_app.api.app import create_app
from serve_app.config import Limits, load_pipeline
from serve_app.fetching import Fetcher
from tests.conformance.replay import PIPELINE, RELEASES, Outcome, Reply, judge, replay
from tests.ports import local_services


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def replies(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Reply]:
    directory: Path = tmp_path_factory.mktemp("conformance")
    config = load_pipeline(str(PIPELINE))
    limits = Limits()
    fetcher = Fetcher(max_bytes=limits.image_bytes, timeout_s=5)
    app = create_app(*local_services(config, directory), fetcher, config, limits)
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://service") as client:

        async def send(
            method: str, path: str, body: bytes | None, headers: dict[str, str]
        ) -> Reply:
            reply = await client.request(method, path, content=body, headers=headers)
            return Reply(reply.status_code, reply.json())

        return await replay(send)


@pytest.mark.parametrize("release", RELEASES)
def test_goldens(
    release: str, replies: dict[str, Reply], capsys: pytest.CaptureFixture[str]
) -> None:
    outcome = judge(release, replies)
    with capsys.disabled():
        print(f"\n{summary(release, outcome)}")
    assert not outcome.unexplained
    assert not outcome.stale, "explained in differences.yaml, but no longer different"


def summary(release: str, outcome: Outcome) -> str:
    return (
        f"goldens {release}: {len(outcome.passed)} pass, "
        f"{len(outcome.explained)} differ for a reason"
    )
