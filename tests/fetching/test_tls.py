"""TLS to a checked address: the certificate is still that of the name the client gave."""

from __future__ import annotations

import asyncio
import datetime
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest

from serve_app.errors import FetchError
from serve_app.fetching import Fetcher

from .server import Dialler, Names, redirect, reply

pytest.importorskip("cryptography", reason="makes the test's certificate")

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

NAME, PUBLIC = "images.example", "93.184.215.14"


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A self-signed certificate of NAME with its key, made for this run."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, NAME)])
    now = datetime.datetime.now(datetime.UTC)
    built = (
        x509.CertificateBuilder(subject, subject, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(NAME)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "certificate.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    path.write_bytes(private + built.public_bytes(serialization.Encoding.PEM))
    return path


@asynccontextmanager
async def secure_site(
    certificate: Path, asked: list[str | None], answer: bytes = reply(b"face")
) -> AsyncIterator[int]:
    """The port of a server that notes the names asked for in the handshake (SNI)."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        with suppress(ConnectionError):
            await writer.drain()
        writer.close()

    def note(connection: ssl.SSLObject, name: str | None, context: ssl.SSLContext) -> None:
        asked.append(name)

    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate)
    context.sni_callback = note
    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    async with server:
        yield server.sockets[0].getsockname()[1]


def fetcher(tls: ssl.SSLContext | None, dialler: Dialler, timeout_s: float = 2) -> Fetcher:
    return Fetcher(
        max_bytes=100, timeout_s=timeout_s, resolver=Names([PUBLIC]), network=dialler, tls=tls
    )


async def test_name_and_certificate_are_those_of_the_url(certificate: Path) -> None:
    asked: list[str | None] = []
    dialler = Dialler()
    trusting = ssl.create_default_context(cafile=certificate)
    async with secure_site(certificate, asked) as port:
        assert await fetcher(trusting, dialler).fetch(f"https://{NAME}:{port}/") == b"face"
    assert asked == [NAME]
    assert dialler.dialled == [(PUBLIC, port)]


@pytest.mark.parametrize("host", ["other.example", PUBLIC])
async def test_a_certificate_of_another_name_is_refused(certificate: Path, host: str) -> None:
    trusting = ssl.create_default_context(cafile=certificate)
    async with secure_site(certificate, []) as port:
        with pytest.raises(FetchError, match=f"^{host} has no valid certificate"):
            await fetcher(trusting, Dialler()).fetch(f"https://{host}:{port}/")


async def test_an_unknown_certificate_is_refused_by_default(certificate: Path) -> None:
    async with secure_site(certificate, []) as port:
        with pytest.raises(FetchError, match="has no valid certificate"):
            await fetcher(None, Dialler()).fetch(f"https://{NAME}:{port}/")


async def test_https_is_not_led_back_to_http(certificate: Path) -> None:
    trusting = ssl.create_default_context(cafile=certificate)
    dialler = Dialler()
    async with secure_site(certificate, [], redirect(f"http://{NAME}/")) as port:
        with pytest.raises(FetchError, match="leads from https to http"):
            await fetcher(trusting, dialler).fetch(f"https://{NAME}:{port}/")
    assert len(dialler.dialled) == 1


async def test_limits_hold_under_tls(certificate: Path) -> None:
    trusting = ssl.create_default_context(cafile=certificate)
    endless = b"HTTP/1.1 100 Continue\r\n\r\n" * 20_000
    async with secure_site(certificate, [], endless) as port:
        with pytest.raises(FetchError, match="too many header fields"):
            await fetcher(trusting, Dialler()).fetch(f"https://{NAME}:{port}/")


async def test_a_handshake_that_stalls_is_cut_and_its_socket_closed() -> None:
    async def mute(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()  # the handshake's first message, then the end of the connection
        ended.set()
        writer.close()

    ended = asyncio.Event()
    async with await asyncio.start_server(mute, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(FetchError, match="did not deliver") as caught:
            await fetcher(None, Dialler(), timeout_s=0.2).fetch(f"https://{NAME}:{port}/")
        async with asyncio.timeout(5):
            await ended.wait()
        del caught  # until here it kept the garbage collector from closing the socket


async def test_a_server_that_speaks_no_tls() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(FetchError, match=f"^{NAME} (has no valid certificate|broke off)"):
            await fetcher(None, Dialler()).fetch(f"https://{NAME}:{port}/")
