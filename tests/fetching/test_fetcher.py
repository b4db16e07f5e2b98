"""Fetching over HTTP: what is asked for, from which addresses, along which redirects."""

from __future__ import annotations

import pytest

from serve_app.errors import FetchError

from .server import Dialler, Names, Site, always, failing, local, redirect, reply, routes
from .test_addresses import EDGES, spellings
from .test_urls import ODD_HOSTS

PUBLIC = "93.184.215.14"


async def test_an_image_is_fetched_and_the_request_says_no_more_than_it_must() -> None:
    body = bytes(range(256)) * 300
    async with Site(always(reply(body))) as site:
        assert await local().fetch(site.url("/a b?c=d#e")) == body
        assert site.heads == [
            f"GET /a%20b?c=d HTTP/1.1\r\nHost: 127.0.0.1:{site.port}\r\nUser-Agent: face-serve\r\n"
            "Accept: image/*\r\nAccept-Encoding: identity\r\nConnection: close\r\n\r\n"
        ]


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nface\r\n0\r\n\r\n",
        b"HTTP/1.0 200 OK\r\n\r\nface",
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nface",
        reply(b"face", "Content-Encoding: identity", "Set-Cookie: a=b"),
    ],
    ids=["chunked", "until the end", "after 100", "identity"],
)
async def test_every_framing_of_a_body(answer: bytes) -> None:
    async with Site(always(answer)) as site:
        assert await local().fetch(site.url()) == b"face"


async def test_every_request_has_its_own_connection_and_no_cookies() -> None:
    async with Site(always(reply(b"face", "Set-Cookie: a=b", "Connection: keep-alive"))) as site:
        fetcher = local()
        for _ in range(3):
            await fetcher.fetch(site.url())
        await site.closed()
        assert site.accepted == 3
        assert "cookie" not in "".join(site.heads).lower()


async def test_proxies_of_the_environment_are_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    async with Site(always(reply(b"proxy"))) as proxy, Site(always(reply(b"face"))) as site:
        for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
        assert await local().fetch(site.url()) == b"face"
        assert proxy.accepted == 0


# Addresses


@pytest.mark.parametrize("host", [*ODD_HOSTS, "localhost", "[::1]", "[::]", "0.0.0.0"])
async def test_odd_and_local_hosts_are_refused_without_a_connection(host: str) -> None:
    # The resolver reads every odd host as loopback, as some systems' do.
    names, dialler = Names(["127.0.0.1"]), Dialler()
    async with Site(always(reply(b"secret"))) as site:
        fetcher = local(allow=[], resolver=names, network=dialler)
        with pytest.raises(FetchError):
            await fetcher.fetch(f"http://{host}:{site.port}/")
        assert site.accepted == 0
    assert dialler.dialled == []


async def test_special_addresses_are_refused_without_a_connection() -> None:
    dialler = Dialler()
    fetcher = local(allow=[], network=dialler)
    hosts = [str(edge) for edge in EDGES]
    hosts += [f"[{each}]" for edge in EDGES for each in spellings(edge).values()]
    hosts += ["169.254.169.254", "[fd00:ec2::254]", "[fe80::1]", "[fc00::1]", "[ff02::1]"]
    for host in hosts:
        with pytest.raises(FetchError, match="not on the public internet"):
            await fetcher.fetch(f"http://{host}/")
    assert dialler.dialled == []


async def test_rebinding_between_two_fetches_and_within_one() -> None:
    names, dialler = Names([PUBLIC], ["127.0.0.1"]), Dialler()
    async with Site(routes(face=reply(b"face"), again=redirect("/face"))) as site:
        fetcher = local(allow=[], resolver=names, network=dialler)
        assert await fetcher.fetch(site.url("/face", host="rebind.example")) == b"face"
        with pytest.raises(FetchError, match=r"^rebind\.example was not found, or is not"):
            await fetcher.fetch(site.url("/face", host="rebind.example"))
        assert dialler.dialled == [(PUBLIC, site.port)]

        names, dialler = Names([PUBLIC], ["127.0.0.1"]), Dialler()
        fetcher = local(allow=[], resolver=names, network=dialler)
        with pytest.raises(FetchError, match=r"^a redirect of rebind\.example was not found"):
            await fetcher.fetch(site.url("/again", host="rebind.example"))
        assert dialler.dialled == [(PUBLIC, site.port)]
        assert site.accepted == 2


async def test_the_system_resolver_and_an_allowed_name() -> None:
    async with Site(always(reply(b"face"))) as site:
        fetcher = local(allow=["localhost"])
        assert await fetcher.fetch(site.url(host="LocalHost.")) == b"face"
        with pytest.raises(FetchError):
            await fetcher.fetch(site.url(host="127.0.0.1"))
        await fetcher.aclose()


async def test_nobody_listens() -> None:
    async with Site(always(b"")) as site:
        pass
    with pytest.raises(FetchError, match=r"^127\.0\.0\.1 could not be connected to$"):
        await local().fetch(site.url())


# Redirects


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_redirects_are_followed(status: int) -> None:
    async with Site(routes(a=redirect("/b?c=1", status), b=reply(b"face"))) as site:
        assert await local().fetch(site.url("/a")) == b"face"
        assert [head.split()[1] for head in site.heads] == ["/a", "/b?c=1"]


@pytest.mark.parametrize(
    "location",
    [
        "http://10.0.0.1/",
        "http://internal-name/",
        "http://[::ffff:a9fe:a9fe]/latest/meta-data/",
        "//2130706433/",
        "file:///etc/passwd",
        "http://user:secret@127.0.0.1/",
        "http://127.0.0.1:22/",
        "http://[fe80::1%25eth0]/",
        "http://[fe80::1]/",
        "http://[::ffff:10.0.0.1]/",
        "http://[2002:a00:1::1]/",
        "http://[64:ff9b::10.0.0.1]/",
        "http://0x7f.1/",
        "http://0177.0.0.1/",
    ],
)
async def test_a_redirect_is_checked_as_a_client_is(location: str) -> None:
    dialler = Dialler()
    async with failing(
        always(redirect(location)),
        r"^a redirect of 127\.0\.0\.1 (was not|is malformed|does not begin|holds|names a port)",
        network=dialler,
        resolver=Names(["10.0.0.1"]),
    ) as site:
        assert dialler.dialled == [("127.0.0.1", site.port)]


@pytest.mark.parametrize("limit", [0, 1, 3])
async def test_redirects_end(limit: int) -> None:
    async with failing(
        always(redirect("/x")), f"redirects more than {limit} times", max_redirects=limit
    ) as site:
        await site.closed()
        assert site.accepted == limit + 1


async def test_a_loop_ends_and_a_chain_within_the_limit_does_not() -> None:
    async with Site(routes(a=redirect("/b"), b=redirect("/a"))) as site:
        with pytest.raises(FetchError, match="redirects more than 3 times"):
            await local().fetch(site.url("/a"))
        assert [head.split()[1] for head in site.heads] == ["/a", "/b", "/a", "/b"]
    chain = {"a": redirect("/b"), "b": redirect("/c"), "c": redirect("/d"), "d": reply(b"face")}
    async with Site(routes(**chain)) as site:
        assert await local().fetch(site.url("/a")) == b"face"


async def test_every_link_of_a_chain_is_checked_not_the_first_alone() -> None:
    names, dialler = Names([PUBLIC], [PUBLIC], ["10.0.0.1"]), Dialler()
    chain = {"a": redirect("/b"), "b": redirect("/c"), "c": reply(b"secret")}
    async with Site(routes(**chain)) as site:
        fetcher = local(allow=[], resolver=names, network=dialler)
        with pytest.raises(FetchError, match=r"^a redirect of chain\.example was not found"):
            await fetcher.fetch(site.url("/a", host="chain.example"))
        assert dialler.dialled == [(PUBLIC, site.port)] * 2
    assert names.asked == ["chain.example"] * 3, "each connection asks, and dials what it was told"


async def test_a_redirect_that_leads_nowhere() -> None:
    async with failing(always(reply(b"", status="302 Found")), "status 302"):
        pass


async def test_where_a_redirect_leads_is_not_told() -> None:
    async with failing(always(redirect("http://internal-name/")), "^a redirect of") as site:
        with pytest.raises(FetchError) as caught:
            await local().fetch(site.url())
        assert "internal-name" not in str(caught.value)
