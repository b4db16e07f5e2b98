"""What is a URL that may be tried, and how its parts come out."""

from __future__ import annotations

import pytest

from serve_app.errors import FetchError
from serve_app.fetching.urls import MAX_LENGTH, ImageURL

ODD_HOSTS = [
    "2130706433",
    "0x7f000001",
    "0X7F.0.0.1",
    "017700000001",
    "0177.0.0.1",
    "127.1",
    "127.0.1",
    "127.0.0.0x1",
    "127.0.0.1.",
    "127.0.0.256",
    "127.0.0.1.0",
    "1.0x",
    "a.example.1",
    "[fe80::1%25eth0]",
    "[fe80::1%eth0]",
    "[::1%1]",
    "[127.0.0.1]",
    "[::127.0.0.1.]",
    "[v1.x]",
    "[]",
    "127%2e0.0.1",
    "127%2E0%2E0%2E1",
    "%31%32%37.0.0.1",
    "①②⑦.⓪.⓪.①",
    "１２７.0.0.1",
    "a_b..c",
    "a b",
    "a\tb",
    "a\nb",
    "a\x00b",
    "a\\b",
    "a,b",
    "a;b",
    "x" * 64 + ".example",
    ".".join(["x" * 50] * 6),
    ".",
]
"""Hosts that no client has a reason to write; some resolvers read them as addresses."""


@pytest.mark.parametrize("host", ODD_HOSTS)
def test_odd_hosts_are_refused(host: str) -> None:
    with pytest.raises(FetchError, match=r"^(is malformed|names a port)"):
        ImageURL.parse(f"http://{host}/face.jpg")


@pytest.mark.parametrize(
    ("text", "host", "port", "target", "authority"),
    [
        ("http://a.example", "a.example", 80, "/", "a.example"),
        ("HTTPS://A.Example.:443/x", "a.example", 443, "/x", "a.example"),
        ("http://a.example:8080/x?y=1#z", "a.example", 8080, "/x?y=1", "a.example:8080"),
        ("http://a.example?y=1", "a.example", 80, "/?y=1", "a.example"),
        ("http://a.example/a b/é", "a.example", 80, "/a%20b/%C3%A9", "a.example"),
        ("http://a.example/a%20b", "a.example", 80, "/a%20b", "a.example"),
        ("http://a.example/@b:1/x", "a.example", 80, "/@b:1/x", "a.example"),
        ("http://bücher.example/", "xn--bcher-kva.example", 80, "/", "xn--bcher-kva.example"),
        ("http://localhost:443/", "localhost", 443, "/", "localhost:443"),
        ("http://127。0。0。1/", "127.0.0.1", 80, "/", "127.0.0.1"),
        ("https://[0:0::1]:8443/", "::1", 8443, "/", "[::1]:8443"),
        ("https://[::ffff:127.0.0.1]/", "::ffff:7f00:1", 443, "/", "[::ffff:7f00:1]"),
    ],
)
def test_parts(text: str, host: str, port: int, target: str, authority: str) -> None:
    url = ImageURL.parse(text)
    assert (url.host, url.port, url.target, url.authority) == (host, port, target, authority)
    assert ImageURL.parse(str(url)) == url


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "does not begin with"),
        ("face.jpg", "does not begin with"),
        ("file:///etc/passwd", "does not begin with"),
        ("ftp://a.example/", "does not begin with"),
        ("gopher://a.example/", "does not begin with"),
        ("//a.example/", "does not begin with"),
        ("http:/a.example/", "does not begin with"),
        (" http://a.example/", "does not begin with"),
        ("http\u017f://a.example/", "does not begin with"),
        ("http://", "malformed"),
        ("http:///x", "malformed"),
        ("http://?x", "malformed"),
        ("http://::1/", "malformed"),
        ("http://a.example:/", "malformed"),
        ("http://a.example:-1/", "malformed"),
        ("http://a.example:+80/", "malformed"),
        ("http://a.example:8_0/", "malformed"),
        ("http://a.example:８０/", "malformed"),
        ("http://a.example:x/", "malformed"),
        ("http://a.example:80:80/", "malformed"),
        ("http://a.example/\r\nHost: b", "malformed"),
        ("http://a.example/\x00", "malformed"),
        ("http://[::1/", "malformed"),
        ("http://[::1]x/", "malformed"),
        ("http://user:secret@a.example/", "credentials"),
        ("http://user@a.example/", "credentials"),
        ("http://@a.example/", "credentials"),
        ("http://a.example\\@127.0.0.1/", "credentials"),
        ("http://a.example:80@127.0.0.1/", "credentials"),
        ("http://a.example:0/", "port"),
        ("http://a.example:22/", "port"),
        ("http://a.example:25/", "port"),
        ("http://a.example:1023/", "port"),
        ("http://a.example:65536/", "port"),
        ("http://a.example/" + "x" * MAX_LENGTH, "longer than"),
    ],
)
def test_what_is_no_image_url(text: str, reason: str) -> None:
    with pytest.raises(FetchError, match=reason) as caught:
        ImageURL.parse(text)
    assert "secret" not in str(caught.value)
    assert "a.example" not in str(caught.value)


@pytest.mark.parametrize(
    ("location", "result"),
    [
        ("/y", "https://a.example:8443/y"),
        ("y?z=2", "https://a.example:8443/x/y?z=2"),
        ("../y", "https://a.example:8443/y"),
        ("//b.example/y", "https://b.example/y"),
        ("https://b.example", "https://b.example/"),
        ("?q", "https://a.example:8443/x/0?q"),
    ],
)
def test_joining(location: str, result: str) -> None:
    base = ImageURL.parse("https://a.example:8443/x/0?key=1")
    assert str(base.join(location)) == result


@pytest.mark.parametrize(
    "location",
    [
        "http://a.example/",
        "file:///etc/passwd",
        "//u:p@b.example/",
        "//2130706433/",
        "//[::1/",
        "//b.example:0/",
        "//b.example:25/",
        "javascript:1",
        "data:image/png;base64,AA",
    ],
)
def test_a_redirect_may_lead_to_no_more_than_a_client_may_ask(location: str) -> None:
    with pytest.raises(FetchError):
        ImageURL.parse("https://a.example/").join(location)


def test_http_to_https_is_taken() -> None:
    assert ImageURL.parse("http://a.example/").join("https://a.example/").scheme == "https"


def test_the_repr_keeps_the_query_to_itself() -> None:
    assert "secret" not in repr(ImageURL.parse("http://a.example/x?signature=secret"))
