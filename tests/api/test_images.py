from __future__ import annotations

import asyncio
import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serve_app.api.images import FETCHES_IN_FLIGHT, ImageReader, decode_base64, is_url
from serve_app.errors import FetchError, InvalidImageError, TooLargeError, UnavailableError
from serve_app.imaging import ImageLimits
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
