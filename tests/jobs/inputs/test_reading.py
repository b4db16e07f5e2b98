"""Images read by a worker: from disks, buckets and hosts, each with its own fault."""

from __future__ import annotations

import asyncio
import errno
import pickle
from functools import partial
from pathlib import Path

import pytest

from serve_app.config import FetchConfig, Limits
from serve_app.errors import (
    FaceServeError,
    FetchError,
    InvalidRequestError,
    TooLargeError,
    UnavailableError,
)
from serve_app.jobs.inputs.allowed import AllowedInputs
from serve_app.jobs.inputs.files import Files
from serve_app.jobs.inputs.reading import THREADS, ImageReader
from serve_app.jobs.inputs.rows import ImageRow
from tests.fetching.server import Site, redirect, reply, routes
from tests.jobs.inputs.samples import MEMORY, files, put

LIMITS = Limits(image_bytes=10)


def reader(
    *allowed: str, fetch: FetchConfig | None = None, connected: Files | None = None
) -> ImageReader:
    prefixes = AllowedInputs(allowed) if allowed else None
    return ImageReader(LIMITS, fetch or FetchConfig(), prefixes, connected or files(prefixes))


def row(source: str, image: bytes | None = None, fault: str | None = None) -> ImageRow:
    return ImageRow(0, source, "Ann", image, None, fault)


def test_files_of_a_disk(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(b"0123456789")
    (tmp_path / "b.jpg").write_bytes(b"0123456789x")
    (tmp_path / "c.pdf").write_bytes(b"0")
    assert reader().read(f"{tmp_path}/a.jpg") == b"0123456789"
    with pytest.raises(TooLargeError, match="over the limit of 10 bytes"):
        reader().read(f"{tmp_path}/b.jpg")
    for place, message in ((f"{tmp_path}/x.jpg", "no such file"), (str(tmp_path), "a directory"),
                           (f"{tmp_path}/c.pdf", "PDF")):  # fmt: skip
        with pytest.raises(InvalidRequestError, match=message):
            reader().read(place)


def test_objects_of_a_bucket() -> None:
    place = put("images", {"a.jpg": b"0123456789", "b.jpg": b"0123456789x"})
    assert reader().read(f"{place}/a.jpg") == b"0123456789"
    with pytest.raises(TooLargeError):
        reader().read(f"{place}/b.jpg")
    with pytest.raises(InvalidRequestError, match="no such image"):
        reader().read(f"{place}/c.jpg")


class Broken:
    def __init__(self, error: Exception) -> None:
        self._error = error

    def cat_file(self, path: str, start: int | None, end: int | None) -> bytes:
        raise self._error


def broken(error: Exception) -> ImageReader:
    return reader(connected=Files(FetchConfig(), None, {**MEMORY, "s3": lambda: Broken(error)}))


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (ConnectionError("10.1.2.3"), "does not answer"),
        (TimeoutError(), "does not answer"),
        (PermissionError("The provided token has expired."), "may not be read: .*credentials"),
    ],
)
def test_a_bucket_that_is_silent_or_closed_is_not_the_rows_fault(
    error: Exception, message: str
) -> None:
    """Else all rows after the end of a token would be left out, and the rest published."""
    with pytest.raises(UnavailableError, match=message) as caught:
        list(broken(error).images([row("s3://b/a.jpg")]))
    assert "10.1.2.3" not in str(caught.value)


def of_s3(error: OSError, code: str) -> OSError:
    """As s3fs raises it."""
    error.__cause__ = RuntimeError("ClientError")
    error.__cause__.response = {"Error": {"Code": code}}  # type: ignore[attr-defined]
    return error


@pytest.mark.parametrize(
    "error",
    [
        FileNotFoundError("x"),
        OSError(errno.ENAMETOOLONG, "KeyTooLongError"),
        of_s3(OSError(errno.EINVAL, "The requested range is not satisfiable"), "InvalidRange"),
    ],
)
def test_an_object_that_is_missing_or_empty_is_the_rows_fault(error: Exception) -> None:
    (answer,) = broken(error).images([row("s3://b/a.jpg")])
    assert isinstance(answer, InvalidRequestError)
    assert str(answer) == "no such image, or it is empty"


async def test_urls_are_guarded_also_for_users_of_the_cluster() -> None:
    async with Site(routes(a=reply(b"face"), b=reply(b"x" * 11))) as site:
        allowing = reader(fetch=FetchConfig(allow=("127.0.0.1",)))
        assert await asyncio.to_thread(allowing.read, site.url("/a")) == b"face"
        with pytest.raises(TooLargeError):
            await asyncio.to_thread(allowing.read, site.url("/b"))
        with pytest.raises(FetchError, match="public internet"):
            await asyncio.to_thread(reader().read, site.url("/a"))


async def test_redirects_are_not_followed_where_places_are_allowed() -> None:
    fetch = FetchConfig(allow=("127.0.0.1",))
    async with Site(routes(a=redirect("/b"), b=reply(b"face"))) as site:
        place = site.url("/a")
        assert await asyncio.to_thread(reader(fetch=fetch).read, place) == b"face"
        with pytest.raises(FetchError, match="redirects"):
            await asyncio.to_thread(reader(place, fetch=fetch).read, place)


def test_only_what_is_allowed(tmp_path: Path) -> None:
    root = tmp_path / "in"
    root.mkdir()
    (root / "a.jpg").write_bytes(b"fine")
    (tmp_path / "secret.jpg").write_bytes(b"secret")
    (root / "link.jpg").symlink_to(tmp_path / "secret.jpg")
    found = reader(str(root))
    assert found.read(f"{root}/a.jpg") == b"fine"
    for place in (f"{tmp_path}/secret.jpg", f"{root}/link.jpg", f"{root}/../secret.jpg",
                  "s3://b/a.jpg", "https://host.example/a.jpg"):  # fmt: skip
        with pytest.raises(InvalidRequestError, match=r"jobs\.inputs"):
            found.read(place)


class Late(AllowedInputs):
    """Whose check of the path comes before a link is put in the file's place."""

    def allows(self, place: str) -> bool:
        return True


def test_a_link_put_in_place_after_the_check(tmp_path: Path) -> None:
    root = tmp_path / "in"
    root.mkdir()
    (tmp_path / "secret.jpg").write_bytes(b"secret")
    (root / "a.jpg").symlink_to(tmp_path / "secret.jpg")
    found = ImageReader(LIMITS, FetchConfig(), Late((str(root),)))
    with pytest.raises(InvalidRequestError, match=r"jobs\.inputs"):
        found.read(f"{root}/a.jpg")


def test_many_in_their_order(tmp_path: Path) -> None:
    count = 5 * THREADS
    contents = {f"{number}.jpg": str(number).encode() for number in range(count) if number % 3}
    place = put("many", contents)
    rows = [row(f"{place}/{number}.jpg") for number in range(count)]
    rows += [
        row("s3://many/1.jpg", fault="has no label"),
        row("t#1", b"table"),
        row("t#2", b"x" * 11),
    ]
    answers = list(reader().images(rows))
    assert answers[1:3] == [b"1", b"2"]
    for number, answer in enumerate(answers[:count]):
        if number % 3:
            assert answer == str(number).encode()
        else:
            assert isinstance(answer, InvalidRequestError)
    fault, image, large = answers[count:]
    assert isinstance(fault, InvalidRequestError)
    assert str(fault) == "has no label"
    assert image == b"table"
    assert isinstance(large, TooLargeError)
    assert all(isinstance(answer, bytes | FaceServeError) for answer in answers)


def test_it_is_made_where_it_is_needed() -> None:
    """As a job makes it: by a function that travels."""
    make = partial(ImageReader, Limits(), FetchConfig(), AllowedInputs(("/photos",)))
    with pytest.raises(InvalidRequestError, match=r"jobs\.inputs"):
        pickle.loads(pickle.dumps(make))().read("/etc/hostname")
    make().close()
