"""Files of disks, buckets and hosts, and what is said when they can't be read."""

from __future__ import annotations

import asyncio
import os
import pickle
import time
from pathlib import Path
from typing import Any

import pytest

from serve_app.config import FetchConfig
from serve_app.errors import FetchError, InvalidRequestError, TooLargeError, UnavailableError
from serve_app.jobs.inputs.allowed import AllowedInputs
from serve_app.jobs.inputs.files import Files
from tests.fetching.server import Site, always, redirect, reply, routes
from tests.jobs.inputs.samples import files, put


def test_local(tmp_path: Path) -> None:
    (tmp_path / "b").write_bytes(b"0123456789")
    (tmp_path / "a").mkdir()
    found = files()
    assert found.names(str(tmp_path)) == [f"{tmp_path}/a", f"{tmp_path}/b"]
    assert found.facts(str(tmp_path)).is_directory
    facts = found.facts(f"{tmp_path}/b")
    assert (facts.size, facts.is_directory) == (10, False)
    assert found.read(f"{tmp_path}/b", 2, 4) == b"23"
    with found.open(f"{tmp_path}/b") as file:
        assert file.read() == b"0123456789"


def test_of_a_bucket() -> None:
    place = put("files", {"x/b": b"0123456789", "x/a/c": b"c"})
    found = files()
    assert found.names(f"{place}/x") == [f"{place}/x/a", f"{place}/x/b"]
    assert found.below(f"{place}/x") == [f"{place}/x/a/c", f"{place}/x/b"]
    assert found.facts(f"{place}/x").is_directory
    assert found.facts(f"{place}/x/b").size == 10
    assert found.read(f"{place}/x/b", 2, 4) == b"23"
    assert pickle.loads(pickle.dumps(found)).read(f"{place}/x/b") == b"0123456789"


def test_what_is_not_there(tmp_path: Path) -> None:
    for place in (f"{tmp_path}/missing", "s3://missing/x"):
        with pytest.raises(InvalidRequestError, match=f"there is no {place}"):
            files().facts(place)
        with pytest.raises(InvalidRequestError, match=f"there is no {place}"):
            files().read(place)
    with pytest.raises(InvalidRequestError, match="is a directory: name a file"):
        files().read(str(tmp_path))


@pytest.mark.parametrize("place", ["ftp://host/a", "memory://a", "github://a/b"])
def test_schemes_that_are_not_read(place: str) -> None:
    with pytest.raises(InvalidRequestError, match=r":// is not read: give a path, or an s3://"):
        files().facts(place)


class Hanging:
    """A client that waits for credentials or an address."""

    def info(self, path: str) -> Any:
        time.sleep(30)


class NoCredentialsError(Exception):
    """Botocore's, by its name."""


class Failing:
    def __init__(self, error: Exception) -> None:
        self._error = error
        self.calls = 0

    def info(self, path: str) -> Any:
        self.calls += 1
        raise self._error


def test_the_first_answer_is_not_waited_for_for_long() -> None:
    began = time.monotonic()
    with pytest.raises(UnavailableError, match="s3://far/a can't be read: it does not answer"):
        files(s3=Hanging).facts("s3://far/a")
    assert 0.5 < time.monotonic() - began < 3, "twice 0.3 s"


@pytest.mark.parametrize(
    ("error", "kind", "message", "calls"),
    [
        (NoCredentialsError("x"), UnavailableError, "credentials", 2),
        (PermissionError("x"), UnavailableError, "credentials", 2),
        (FileNotFoundError("x"), InvalidRequestError, "there is no s3://b/a", 1),
        (ConnectionError("10.1.2.3"), UnavailableError, "does not answer", 2),
        (RuntimeError("10.1.2.3"), UnavailableError, "does not answer", 2),
    ],
)
def test_what_clients_raise(
    error: Exception, kind: type[Exception], message: str, calls: int
) -> None:
    store = Failing(error)
    with pytest.raises(kind, match=message) as caught:
        files(s3=lambda: store).facts("s3://b/a")
    assert store.calls == calls
    assert "10.1.2.3" not in str(caught.value)


def test_a_link_out_of_what_is_allowed_is_not_opened(tmp_path: Path) -> None:
    root = tmp_path / "in"
    root.mkdir()
    (tmp_path / "secret.csv").write_bytes(b"secret")
    (root / "a.csv").symlink_to(tmp_path / "secret.csv")
    (root / "b.csv").write_bytes(b"fine")
    found = files(AllowedInputs((str(root),)))
    assert found.read(f"{root}/b.csv") == b"fine"
    with pytest.raises(InvalidRequestError, match=r"jobs\.inputs"):
        found.read(f"{root}/a.csv")


async def test_urls_go_through_the_guard_for_jobs_over_http() -> None:
    async with Site(routes(**{"a.csv": reply(b"0123456789")})) as site:
        place = site.url("/a.csv")
        open_to_all = Files(FetchConfig(allow=("127.0.0.1",)), AllowedInputs((place,)))
        assert await asyncio.to_thread(open_to_all.read, place, 2, 4) == b"23"
        assert not (await asyncio.to_thread(open_to_all.facts, place)).is_directory
        guarded = Files(FetchConfig(), AllowedInputs((place,)))
        for call in (guarded.facts, guarded.read):
            with pytest.raises(FetchError, match="public internet"):
                await asyncio.to_thread(call, place)


async def test_redirects_would_lead_out_of_what_is_allowed() -> None:
    async with Site(always(redirect("http://127.0.0.1/secret"))) as site:
        place = site.url("/a.csv")
        found = Files(FetchConfig(allow=("127.0.0.1",)), AllowedInputs((place,)))
        with pytest.raises(FetchError, match="redirects"):
            await asyncio.to_thread(found.read, place)


async def test_urls_of_a_user_of_the_cluster() -> None:
    async with Site(routes(**{"a.csv": reply(b"0123456789")})) as site:
        found = Files(FetchConfig(), None)
        assert await asyncio.to_thread(found.read, site.url("/a.csv")) == b"0123456789"


def test_nobody_answers_at_a_url() -> None:
    with pytest.raises(UnavailableError, match="can't be read: it does not answer"):
        Files(FetchConfig(), None).facts("http://127.0.0.1:9/a.csv")


async def test_a_url_without_a_file() -> None:
    async with Site(always(reply(b"", status="404 Not Found"))) as site:
        with pytest.raises(InvalidRequestError, match=r"there is no http://127\.0\.0\.1"):
            await asyncio.to_thread(Files(FetchConfig(), None).facts, site.url("/a.csv"))


async def test_a_host_that_does_not_serve_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    async with Site(routes(**{"a.csv": reply(b"0123456789")})) as site:
        place = site.url("/a.csv")

        def last(found: Files) -> bytes:
            with found.open(place) as file:
                file.seek(-3, 2)
                return file.read()

        assert await asyncio.to_thread(last, Files(FetchConfig(), None)) == b"789"
        monkeypatch.setattr("serve_app.jobs.inputs.files.WHOLE_BYTES", 5)
        with pytest.raises(TooLargeError, match="put it into a bucket"):
            await asyncio.to_thread(last, Files(FetchConfig(), None))


def test_an_address_that_makes_no_sense() -> None:
    with pytest.raises(InvalidRequestError, match="check how it is written"):
        files(s3=lambda: Failing(ValueError("x"))).facts("s3://b b/a")


def test_links_and_pipes(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").write_bytes(b"b")
    for name in "ab":
        (tmp_path / f"to_{name}").symlink_to(tmp_path / name)
    assert files().facts(f"{tmp_path}/to_a").is_directory
    facts = files().facts(f"{tmp_path}/to_b")
    assert (facts.size, facts.is_directory) == (1, False)
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(InvalidRequestError, match="neither a file nor a directory"):
        files().facts(f"{tmp_path}/pipe")
    (tmp_path / "nowhere").symlink_to(tmp_path / "missing")
    with pytest.raises(InvalidRequestError):
        files().facts(f"{tmp_path}/nowhere")
