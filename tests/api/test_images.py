from __future__ import annotations

import asyncio
import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serve_app.api.images import (
    FETCHES_IN_FLIGHT,
    THREAD_BYTES,
    TURN_BYTES,
    ImageReader,
    decode_base64,
    is_url,
)
from serve_app.api.sources import ImageArray
from serve_app.errors import FetchError, InvalidImageError, TooLargeError, UnavailableError
from serve_app.imaging import ImageLimits, decode
from tests.fakes import FakeFetcher

LIMIT = 1000


def reader(fetcher: FakeFetcher | None = None, total: int = 10 * LIMIT) -> ImageReader:
    return ImageReader(fetcher or FakeFetcher(), ImageLimits(LIMIT, 1000), total)


@given(st.binary(max_size=LIMIT), st.sampled_from(["", "data:image/png;base64,", "DATA:,"]))
def test_base64_comes_back_as_it_was(data: bytes, prefix: str) -> None:
    assert decode_base64(prefix + base64.b64encode(data).decode(), LIMIT) == data


@given(st.binary(max_size=LIMIT))
def test_line_breaks_of_mail_programs_are_let_through(data: bytes) -> None:
    assert decode_base64(base64.encodebytes(data).decode(), LIMIT) == data


@pytest.mark.parametrize(
    "source",
    ["!!!not base64!!!", "abcde", "aGVsbG8", "aGVs-G8_", "aGVsbG8=aGVsbG8=", "é", "data:image/png"],
)
def test_other_junk_is_refused(source: str) -> None:
    with pytest.raises(InvalidImageError) as caught:
        decode_base64(source, LIMIT)
    assert source not in str(caught.value)


@pytest.mark.parametrize("size", [LIMIT - 1, LIMIT])
def test_an_image_of_the_limit_is_read(size: int) -> None:
    assert len(decode_base64(base64.b64encode(bytes(size)).decode(), LIMIT)) == size


def test_a_larger_one_is_refused_before_it_is_decoded() -> None:
    with pytest.raises(TooLargeError, match="over the limit of 1000 bytes"):
        decode_base64("!" * 2 * LIMIT, LIMIT)


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("http://a.example/b.jpg", True),
        ("HTTPS://a.example", True),
        ("httpabcd", False),
        ("ftp://a.example/b.jpg", False),
        ("", False),
    ],
)
def test_what_is_a_url(source: str, expected: bool) -> None:
    assert is_url(source) is expected


async def test_urls_are_fetched_and_the_rest_decoded_in_order() -> None:
    fetcher = FakeFetcher({"http://a.example/1": b"one", "http://a.example/3": b"three"})
    read = await reader(fetcher).read_all(["http://a.example/1", "dHdv", "http://a.example/3"])
    assert read == [b"one", b"two", b"three"]


async def test_a_bad_source_is_an_error_in_its_place() -> None:
    fetcher = FakeFetcher({"http://a.example/large": TooLargeError("too large")})
    read = await reader(fetcher).read_all(
        ["dHdv", "http://a.example/gone", "!", "http://a.example/large"]
    )
    assert read[0] == b"two"
    assert [type(error) for error in read[1:]] == [FetchError, InvalidImageError, TooLargeError]


async def test_a_service_that_stops_ends_the_request() -> None:
    fetcher = FakeFetcher({"http://a.example/1": UnavailableError("stopping")})
    with pytest.raises(UnavailableError):
        await reader(fetcher).read_all(["dHdv", "http://a.example/1"])


async def test_fetched_images_of_one_request_are_bounded_together() -> None:
    fetcher = FakeFetcher({"http://a.example/1": bytes(LIMIT)})
    images = await reader(fetcher, 3 * LIMIT).read_all(["http://a.example/1"] * 3)
    assert len(images) == 3
    with pytest.raises(TooLargeError, match="together"):
        await reader(fetcher, 3 * LIMIT).read_all(["http://a.example/1"] * 4)


async def test_one_request_has_few_fetches_under_way() -> None:
    under_way, most = 0, 0

    class Slow(FakeFetcher):
        async def fetch(self, url: str) -> bytes:
            nonlocal under_way, most
            under_way += 1
            most = max(most, under_way)
            await asyncio.sleep(0.001)
            under_way -= 1
            return b"x"

    await reader(Slow()).read_all(["http://a.example/1"] * 30)
    assert most == FETCHES_IN_FLIGHT


def array(height: int, width: int = 10) -> ImageArray:
    return ImageArray(shape=(height, width, 3), dtype="uint8", data=bytes(height * width * 3))


async def test_bytes_are_an_image_as_they_are() -> None:
    assert await reader().read(b"\xff\xd8") == b"\xff\xd8"
    assert len(await reader().read(bytes(LIMIT))) == LIMIT
    with pytest.raises(TooLargeError, match="over the limit of 1000 bytes"):
        await reader().read(bytes(LIMIT + 1))


async def test_an_array_is_made_a_file() -> None:
    assert (await reader().read(array(3))).startswith(b"BM")
    read = await reader().read_all([array(3), array(100), b"x"])
    assert [type(item) for item in read] == [bytes, TooLargeError, bytes]


@pytest.mark.parametrize("rows", [3, 300, THREAD_BYTES // 3000 + 1])
async def test_arrays_of_any_size_are_read_alike(rows: int) -> None:
    limits = ImageLimits(2 * THREAD_BYTES, 10**7)
    read = await ImageReader(FakeFetcher(), limits, 10**8).read(array(rows, 1000))
    assert decode(read, limits).shape == (rows, 1000, 3)


async def test_others_get_their_turn_between_large_images() -> None:
    limits = ImageLimits(10 * TURN_BYTES, 10**7)
    source = base64.b64encode(bytes(TURN_BYTES)).decode()
    work = asyncio.create_task(ImageReader(FakeFetcher(), limits, 10**9).read_all([source] * 80))
    turns = 0
    while not work.done():
        await asyncio.sleep(0)
        turns += 1
    assert turns > 80 / FETCHES_IN_FLIGHT
