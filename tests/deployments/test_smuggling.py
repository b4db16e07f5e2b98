"""Requests that one reader may take for two, through the HAProxy that we run: each is refused, or
is one request to both, with the same body."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from serve_app.api.client_address import client_address
from serve_app.api.gate import Gate
from serve_app.batching import Admission
from serve_app.config import Limits
from tests.deployments.proxied import PROOF, Read, Recorder, behind_haproxy, exchange

SMUGGLED = b"GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n"
SIZE = b"%d" % len(SMUGGLED)
CHUNKED = b"Transfer-Encoding: chunked\r\n"


def post(headers: bytes, body: bytes = SMUGGLED, version: bytes = b"1.1") -> bytes:
    return b"POST /x HTTP/" + version + b"\r\nHost: a\r\n" + headers + b"\r\n" + body


def chunked(body: bytes, size: bytes = b"%x") -> bytes:
    return (size % len(body) if b"%" in size else size) + b"\r\n" + body + b"\r\n0\r\n\r\n"


END = b"0\r\n\r\n"
REFUSED = {
    "two lengths": post(b"Content-Length: 0\r\nContent-Length: " + SIZE + b"\r\n"),
    "a list of lengths": post(b"Content-Length: " + SIZE + b", 0\r\n"),
    "+ before a length": post(b"Content-Length: +" + SIZE + b"\r\n"),
    "a negative length": post(b"Content-Length: -1\r\n"),
    "a length in hex": post(b"Content-Length: 0x10\r\n"),
    "no length": post(b"Content-Length:\r\n"),
    "space after a name": post(b"Content-Length : " + SIZE + b"\r\n"),
    "a length of 2**64": post(b"Content-Length: 18446744073709551616\r\n"),
    "a length of 2**64 - 1": post(b"Content-Length: 18446744073709551615\r\n"),
    "a length of 2**64 + 35": post(b"Content-Length: 18446744073709551651\r\n"),
    "xchunked": post(b"Transfer-Encoding: xchunked\r\nContent-Length: " + SIZE + b"\r\n"),
    "space after chunked's name": post(b"Transfer-Encoding : chunked\r\n", END + SMUGGLED),
    "vertical tab": post(b"Transfer-Encoding: \x0bchunked\r\n", END + SMUGGLED),
    "two codings": post(CHUNKED + b"Transfer-Encoding: identity\r\n", END + SMUGGLED),
    "identity first": post(b"Transfer-Encoding: identity, chunked\r\n", END + SMUGGLED),
    "identity last": post(b"Transfer-Encoding: chunked, identity\r\n", END + SMUGGLED),
    "gzip first": post(b"Transfer-Encoding: gzip, chunked\r\n", END + SMUGGLED),
    "a parameter": post(b"Transfer-Encoding: chunked;x=1\r\n", END + SMUGGLED),
    "in quotes": post(b'Transfer-Encoding: "chunked"\r\n', END + SMUGGLED),
    "behind a bare CR": post(b"X: y\rTransfer-Encoding: chunked\r\n", END + SMUGGLED),
    "NUL in a name": post(b"Transfer-Encoding\0: chunked\r\n", END + SMUGGLED),
    "NUL in a value": post(b"X: a\0b\r\n"),
    "space before a name": b"POST /x HTTP/1.1\r\n Host: a\r\n\r\n",
    "no colon": post(b"Content-Length\r\n"),
    "chunk of 2**64 + 3": post(CHUNKED, chunked(b"abc", b"10000000000000003") + SMUGGLED),
    "a negative chunk": post(CHUNKED, chunked(b"abc", b"-1") + SMUGGLED),
    "chunk of 0x3": post(CHUNKED, chunked(b"abc", b"0x3") + SMUGGLED),
    "chunk of +3": post(CHUNKED, chunked(b"abc", b"+3") + SMUGGLED),
    "a chunk longer than it says": post(CHUNKED, chunked(b"abcde", b"3") + SMUGGLED),
    "chunks that end in LF": post(CHUNKED, b"3\nabc\n0\n\n" + SMUGGLED),
    "LF within an extension": post(CHUNKED, b"3;a\nabc\r\n0\r\n\r\n" + SMUGGLED),
    "CR within an extension": post(CHUNKED, b"3;\rxx\r\nabc\r\n0\r\n\r\n" + SMUGGLED),
    "HTTP/0.9": b"GET /x\r\n\r\n" + SMUGGLED,
    "HTTP/2 with prior knowledge": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0",
    "two hosts": b"GET /x HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
    "another host in the address": b"GET http://b/x HTTP/1.1\r\nHost: a\r\n\r\n",
    "space in the address": b"GET /x y HTTP/1.1\r\nHost: a\r\n\r\n",
    "control character in the address": b"GET /x\x01 HTTP/1.1\r\nHost: a\r\n\r\n",
}
H2C = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAARAAAAA\r\n"
ONE = {
    "length and chunks": (post(b"Content-Length: 4\r\n" + CHUNKED, END + SMUGGLED), b""),
    "chunks and length": (post(CHUNKED + b"Content-Length: 100\r\n", END + SMUGGLED), b""),
    "HTTP/1.0 with both": (post(CHUNKED + b"Content-Length: 5\r\n", END + SMUGGLED, b"1.0"), b""),
    "HTTP/1.0 with chunks": (post(CHUNKED, END + SMUGGLED, b"1.0"), b""),
    "the same length twice": (post((b"Content-Length: " + SIZE + b"\r\n") * 2), SMUGGLED),
    "a coding by another name": (
        post(b"Transfer_Encoding: chunked\r\nContent-Length: " + SIZE + b"\r\n"),
        SMUGGLED,
    ),
    "in mixed case": (post(b"Transfer-Encoding: cHuNkEd\r\n", chunked(SMUGGLED)), SMUGGLED),
    "after a tab": (post(b"Transfer-Encoding:\tchunked\r\n", chunked(SMUGGLED)), SMUGGLED),
    "folded": (
        post(b"Transfer-Encoding:\r\n chunked\r\nContent-Length: 5\r\n", chunked(SMUGGLED)),
        SMUGGLED,
    ),
    "folded into another header": (
        post(b"X: y\r\n Content-Length: 3\r\nContent-Length: " + SIZE + b"\r\n"),
        SMUGGLED,
    ),
    "behind a bare LF": (
        post(b"X: y\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n", chunked(SMUGGLED)),
        SMUGGLED,
    ),
    "a head of bare LF": (
        b"POST /x HTTP/1.1\nHost: a\nContent-Length: " + SIZE + b"\n\n" + SMUGGLED,
        SMUGGLED,
    ),
    "GET with a length": (
        b"GET /x HTTP/1.1\r\nHost: a\r\nContent-Length: " + SIZE + b"\r\n\r\n" + SMUGGLED,
        SMUGGLED,
    ),
    "GET in chunks": (
        b"GET /x HTTP/1.1\r\nHost: a\r\n" + CHUNKED + b"\r\n" + chunked(SMUGGLED),
        SMUGGLED,
    ),
    "HEAD with a length": (
        b"HEAD /x HTTP/1.1\r\nHost: a\r\nContent-Length: " + SIZE + b"\r\n\r\n" + SMUGGLED,
        SMUGGLED,
    ),
    "space after a chunk's size": (post(CHUNKED, chunked(SMUGGLED, b"%x ")), SMUGGLED),
    "an extension": (post(CHUNKED, chunked(SMUGGLED, b"%x;a=b")), SMUGGLED),
    "the length named as the hop's own": (
        post(b"Connection: Content-Length\r\nContent-Length: " + SIZE + b"\r\n"),
        SMUGGLED,
    ),
    "the coding named as the hop's own": (
        post(b"Connection: close, Transfer-Encoding\r\n" + CHUNKED, chunked(SMUGGLED)),
        SMUGGLED,
    ),
    "h2c": (post(H2C + b"Content-Length: " + SIZE + b"\r\n"), SMUGGLED),
    "HTTP/2.0 in words": (
        post(b"Content-Length: " + SIZE + b"\r\n", version=b"2.0"),
        SMUGGLED,
    ),
}


@dataclass(frozen=True)
class Proxied:
    port: int
    recorder: Recorder

    def send(self, data: bytes) -> tuple[list[bytes], list[Read]]:
        """Statuses of what came back, and what the application read."""
        self.recorder.read.clear()
        answer = exchange(self.port, data)
        return re.findall(rb"HTTP/1\.[01] (\d+) ", answer), [*self.recorder.read]


@pytest.fixture(scope="module")
def proxied(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxied]:
    recorder = Recorder()
    gate = Gate(recorder, Admission(), Limits())
    with behind_haproxy(gate, tmp_path_factory.mktemp("haproxy")) as port:
        yield Proxied(port, recorder)


@pytest.mark.parametrize("name", REFUSED)
def test_refused(proxied: Proxied, name: str) -> None:
    statuses, read = proxied.send(REFUSED[name])
    assert [status[:1] for status in statuses] in ([b"4"], []), "one answer, and the end"
    assert read == []


@pytest.mark.parametrize("name", ONE)
def test_one_request_to_both(proxied: Proxied, name: str) -> None:
    data, body = ONE[name]
    statuses, read = proxied.send(data)
    assert statuses == [b"200"]
    assert [(one.target, one.body) for one in read] == [("/x", body)]
    framing = read[0].all_of(b"content-length") + read[0].all_of(b"transfer-encoding")
    assert framing in ([SIZE], [b"chunked"]), "one frame, in its plainest spelling"


def test_pipelined_requests_are_as_many_as_they_are(proxied: Proxied) -> None:
    statuses, read = proxied.send(post(b"Content-Length: 3\r\n", b"abc" + SMUGGLED * 2))
    assert statuses == [b"200"] * 3
    assert [one.target for one in read] == ["/x", "/smuggled", "/smuggled"]


FORGED = b"X-Face-Serve-Client: 6.6.6.6 " + PROOF.encode()[1:] + b"\r\n"


@pytest.mark.parametrize(
    "data",
    [
        post(FORGED + b"Content-Length: 3\r\n", b"abc"),
        post(FORGED * 2 + b"Content-Length: 3\r\n", b"abc"),
        post(b"Connection: X-Face-Serve-Client\r\nContent-Length: 3\r\n", b"abc"),
        post(
            b"X-Forwarded-For: 6.6.6.6\r\nForwarded: for=6.6.6.6\r\nContent-Length: 3\r\n", b"abc"
        ),
        # To the server's parser trailers are headers, and the proxy lets them pass.
        post(CHUNKED, b"3\r\nabc\r\n0\r\n" + FORGED + b"\r\n"),
    ],
)
def test_the_clients_address_is_the_proxys_word_alone(proxied: Proxied, data: bytes) -> None:
    _, read = proxied.send(data)
    scope = {"headers": read[0].headers, "client": ("10.0.0.7", 1234)}
    assert client_address(scope, PROOF) == "127.0.0.1"
    assert client_address(scope, "1" * 64) == "10.0.0.7", "the proxy of another cluster"
    assert client_address(scope, None) == "10.0.0.7"
