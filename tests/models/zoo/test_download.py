from __future__ import annotations

import dataclasses
import random
import time
from pathlib import Path

import httpx
import pytest

from serve_app.errors import ConfigError, ModelError
from serve_app.models.zoo import download as module
from serve_app.models.zoo.download import Patience, download
from tests.models.zoo.archive_server import ArchiveServer, Reply

CONTENT = random.Random(4).randbytes(300_000)
WHOLE = Reply(CONTENT)
QUICK = Patience(total=20, stalled=0.5, attempts=3, pause=0.01)


def fetch(server: ArchiveServer, part: Path, patience: Patience = QUICK) -> list[int]:
    """Bytes that were there at each step."""
    steps: list[int] = []

    def progress(done: int, total: int | None) -> None:
        steps.append(done)
        assert total is None or done <= total <= len(CONTENT)

    download(f"{server.url}/x.tar", part, patience, progress)
    return steps


def changed(**values: object) -> Reply:
    return dataclasses.replace(WHOLE, **values)  # type: ignore[arg-type]


@pytest.fixture
def part(tmp_path: Path) -> Path:
    return tmp_path / "x.tar.part"


def test_a_download(server: ArchiveServer, part: Path) -> None:
    server.replies = [WHOLE]
    steps = fetch(server, part)
    assert part.read_bytes() == CONTENT
    assert steps == sorted(steps)
    assert steps[-1] == len(CONTENT)
    assert server.paths == ["/x.tar"]
    assert server.requests[0]["accept-encoding"] == "identity"
    assert "range" not in server.requests[0]


def test_without_a_length(server: ArchiveServer, part: Path) -> None:
    server.replies = [changed(length=False)]
    fetch(server, part)
    assert part.read_bytes() == CONTENT


def test_resumes_where_the_connection_broke(server: ArchiveServer, part: Path) -> None:
    server.replies = [changed(breaks_after=100_000), changed(breaks_after=50_000), WHOLE]
    steps = fetch(server, part)
    assert part.read_bytes() == CONTENT
    assert server.ranges == [None, "bytes=100000-", "bytes=150000-"]
    assert all(request["if-range"] == '"one"' for request in server.requests[1:])
    assert steps[-1] == len(CONTENT)


def test_resumes_what_another_process_left(server: ArchiveServer, part: Path) -> None:
    server.replies = [changed(breaks_after=100_000), changed(breaks_after=0)]
    with pytest.raises(ModelError, match="the connection broke off"):
        fetch(server, part)
    assert part.stat().st_size == 100_000
    assert len(server.requests) == QUICK.attempts
    server.replies = [WHOLE]
    fetch(server, part)
    assert part.read_bytes() == CONTENT
    assert server.ranges[-1] == "bytes=100000-"


def test_nothing_was_missing(server: ArchiveServer, part: Path) -> None:
    server.replies = [WHOLE]
    fetch(server, part)
    fetch(server, part)  # as after a crash between the last byte and what comes next
    assert part.read_bytes() == CONTENT
    assert server.ranges == [None, f"bytes={len(CONTENT)}-"]


def test_a_server_without_range_starts_over(server: ArchiveServer, part: Path) -> None:
    server.replies = [changed(breaks_after=100_000), changed(ranges=False)]
    steps = fetch(server, part)
    assert part.read_bytes() == CONTENT
    assert steps[-1] == len(CONTENT)


@pytest.mark.parametrize("etag", [None, 'W/"weak"'])
def test_without_a_strong_etag_it_starts_over(
    etag: str | None, server: ArchiveServer, part: Path
) -> None:
    server.replies = [changed(breaks_after=100_000, etag=etag), changed(etag=etag)]
    fetch(server, part)
    assert part.read_bytes() == CONTENT
    assert server.ranges == [None, None]


@pytest.mark.parametrize("checks", [True, False], ids=["heeds If-Range", "ignores If-Range"])
def test_another_archive_in_between(checks: bool, server: ArchiveServer, part: Path) -> None:
    other = Reply(random.Random(5).randbytes(len(CONTENT)), etag='"two"', checks=checks)
    server.replies = [changed(breaks_after=100_000), other]
    fetch(server, part)
    assert part.read_bytes() == other.content


def test_a_shorter_archive_in_between(server: ArchiveServer, part: Path) -> None:
    other = Reply(CONTENT[:50_000], etag='"two"', checks=False)
    server.replies = [changed(breaks_after=100_000), other]
    fetch(server, part)
    assert part.read_bytes() == other.content


def test_what_came_from_another_url_is_not_continued(server: ArchiveServer, part: Path) -> None:
    server.replies = [changed(breaks_after=100_000), changed(breaks_after=0)]
    with pytest.raises(ModelError):
        fetch(server, part)
    server.replies = [WHOLE]
    download(f"{server.url}/mirror/x.tar", part, QUICK, lambda *_: None)
    assert part.read_bytes() == CONTENT
    assert server.ranges[-1] is None


def test_a_server_that_stops_sending(server: ArchiveServer, part: Path) -> None:
    server.replies = [changed(stalls_after=100_000), WHOLE]
    fetch(server, part)
    assert part.read_bytes() == CONTENT
    assert server.ranges == [None, "bytes=100000-"]
    server.replies = [changed(stalls_after=0)]
    part.unlink()
    with pytest.raises(ModelError, match="the server stopped sending"):
        fetch(server, part)


def test_the_deadline_holds_for_a_trickle(server: ArchiveServer, part: Path) -> None:
    server.replies = [changed(drips=0.05)]
    started = time.monotonic()
    with pytest.raises(ModelError, match="did not end in time; it goes on at the next try"):
        fetch(server, part, Patience(total=1, stalled=0.5))
    assert time.monotonic() - started < 5
    assert 0 < part.stat().st_size < len(CONTENT)


@pytest.mark.parametrize(("status", "attempts"), [(404, 1), (403, 1), (503, 3), (429, 3)])
def test_refusals(status: int, attempts: int, server: ArchiveServer, part: Path) -> None:
    server.replies = [Reply(b"busy", status=status)]
    with pytest.raises(ModelError, match=f"^the server answers {status}$"):
        fetch(server, part)
    assert len(server.requests) == attempts
    assert not part.exists()


def test_a_server_that_recovers(server: ArchiveServer, part: Path) -> None:
    server.replies = [Reply(status=503), WHOLE]
    fetch(server, part)
    assert part.read_bytes() == CONTENT


def test_nobody_there_is_said_at_once(part: Path, server: ArchiveServer) -> None:
    started = time.monotonic()
    with pytest.raises(ModelError, match=r"^the server can't be reached$"):
        download("http://127.0.0.1:1/x.tar", part, Patience(pause=5), lambda *_: None)
    assert time.monotonic() - started < 3


@pytest.mark.parametrize("url", ["http://h:port/x.tar", "ftp://127.0.0.1/x.tar"])
def test_a_url_that_is_none(url: str, part: Path) -> None:
    with pytest.raises(ConfigError, match="check the mirror"):
        download(url, part, QUICK, lambda *_: None)


def test_redirects_are_followed(server: ArchiveServer, part: Path) -> None:
    server.replies = [Reply(status=302, location="/elsewhere/x.tar"), WHOLE]
    fetch(server, part)
    assert server.paths == ["/x.tar", "/elsewhere/x.tar"]
    assert part.read_bytes() == CONTENT


def test_redirects_end(server: ArchiveServer, part: Path) -> None:
    server.replies = [Reply(status=302, location="/x.tar")]
    with pytest.raises(ModelError, match="redirects more than 5 times"):
        fetch(server, part)


def test_no_redirect_from_https_to_http(part: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        assert request.url.scheme == "https"  # the other one is never asked
        return httpx.Response(302, headers={"Location": "http://elsewhere.example/x.tar"})

    client = httpx.Client
    monkeypatch.setattr(
        httpx, "Client", lambda **options: client(transport=httpx.MockTransport(answer))
    )
    with pytest.raises(ModelError, match="from https to http, which is refused"):
        download("https://host.example/x.tar", part, QUICK, lambda *_: None)


def test_compressed_on_the_way(server: ArchiveServer, part: Path) -> None:
    server.replies = [changed(encoding="gzip")]
    with pytest.raises(ModelError, match="compressed, which was not asked for"):
        fetch(server, part)


@pytest.mark.parametrize("length", [True, False])
def test_an_endless_archive(
    length: bool, server: ArchiveServer, part: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_BYTES", 2**17)
    server.replies = [changed(length=length)]
    with pytest.raises(ModelError, match="more than 0 MiB"):
        fetch(server, part)
    assert not part.exists() or part.stat().st_size <= 2**17


def test_messages_do_not_hold_the_url(server: ArchiveServer, part: Path) -> None:
    server.replies = [Reply(status=404)]
    port = server.url.rpartition(":")[2]
    with pytest.raises(ModelError) as caught:
        download(f"http://someone:secret@127.0.0.1:{port}/x.tar", part, QUICK, lambda *_: None)
    assert "secret" not in str(caught.value)
    assert "127.0.0.1" not in str(caught.value)
    assert server.requests[0]["authorization"].startswith("Basic ")
    facts = part.with_name("x.tar.part.json")
    assert not facts.exists() or "secret" not in facts.read_text()
