"""URLs from a plain function: guarded as a service's, from any thread."""

from __future__ import annotations

import asyncio

import pytest

from serve_app.errors import ConfigError, FetchError, TooLargeError
from serve_app.pipeline.url_images import UrlReader
from tests.fetching.server import Names, Site, always, redirect, reply, routes


async def test_an_image_is_read() -> None:
    async with Site(always(reply(b"face"))) as site:
        reader = UrlReader(allow=["127.0.0.0/8"], max_bytes=100)
        assert await asyncio.to_thread(reader, site.url()) == b"face"


async def test_many_threads() -> None:
    answers = {f"a{number}": reply(b"x" * number) for number in range(20)}
    async with Site(routes(**answers)) as site:
        reader = UrlReader(allow=["127.0.0.0/8"], max_bytes=100)
        urls = [site.url(f"/{name}") for name in answers]
        found = await asyncio.gather(*(asyncio.to_thread(reader, url) for url in urls))
        assert [len(content) for content in found] == list(range(20))


async def test_private_addresses_are_refused() -> None:
    async with Site(always(reply(b"secret"))) as site:
        names = Names(["127.0.0.1"])
        reader = UrlReader(max_bytes=100, resolver=names)
        for url in (site.url(), f"http://innocent.example:{site.port}/a.jpg"):
            with pytest.raises(FetchError, match="is not on the public internet"):
                await asyncio.to_thread(reader, url)
        assert site.accepted == 0


async def test_it_works_where_a_loop_is_running() -> None:
    """A notebook's cells run in one."""
    with pytest.raises(FetchError, match="public internet"):
        UrlReader(max_bytes=100)("http://127.0.0.1/")


async def test_limits() -> None:
    async with Site(always(reply(b"x" * 101))) as site:
        reader = UrlReader(allow=["127.0.0.1"], max_bytes=100)
        with pytest.raises(TooLargeError, match="more than 100 bytes"):
            await asyncio.to_thread(reader, site.url())
    async with Site(always(b"")) as site:
        reader = UrlReader(allow=["127.0.0.1"], max_bytes=100, timeout_s=0.2)
        with pytest.raises(FetchError):
            await asyncio.to_thread(reader, site.url())


async def test_redirects_are_followed_unless_they_may_not() -> None:
    async with Site(routes(a=redirect("/b"), b=reply(b"face"))) as site:
        url = site.url("/a")
        followed = UrlReader(allow=["127.0.0.1"], max_bytes=100)
        assert await asyncio.to_thread(followed, url) == b"face"
        strict = UrlReader(allow=["127.0.0.1"], max_bytes=100, max_redirects=0)
        with pytest.raises(FetchError, match="redirects"):
            await asyncio.to_thread(strict, url)


def test_what_is_allowed_is_checked_at_once() -> None:
    with pytest.raises(ConfigError, match=r"fetch\.allow"):
        UrlReader(allow=["10.0.0.1/8"], max_bytes=100)
