from __future__ import annotations

import pytest

from serve_app.api.hosts import REMEMBERED, Hosts
from serve_app.errors import ConfigError, MisdirectedError

OURS = [
    "localhost",
    "LOCALHOST.",
    "localhost:8080",
    "127.0.0.1",
    "127.1.2.3:80",
    "[::1]",
    "[::1]:1",
]
THEIRS = [
    "evil.example",
    "evil.example:8080",
    "localhost.evil.example",
    "127.0.0.1.evil.example",
    "evil.localhost",
    "192.168.0.1",
    "0.0.0.0",
    "2130706433",
    "0x7f.1",
    "127.1",
    "[::ffff:127.0.0.1]",
    "[fe80::1%25lo]",
    "[::]",
    "::1",
    "localhost:80:80",
    "localhost:",
    "localhost:x",
    "localhost/",
    "a@localhost",
    "localhost localhost",
    "",
    "\xe9",
]


def check(hosts: Hosts, *sent: str) -> None:
    hosts.check([(b"accept", b"*/*"), *((b"host", each.encode("latin-1")) for each in sent)])


@pytest.mark.parametrize("host", OURS)
def test_loopback_is_always_answered(host: str) -> None:
    for hosts in (Hosts(), Hosts(["faces.example"]), Hosts(["*"])):
        check(hosts, host)
        check(hosts, host)


@pytest.mark.parametrize("host", THEIRS)
def test_another_name_is_refused_and_not_told(host: str) -> None:
    hosts = Hosts(["faces.example"])
    for _ in range(2):
        with pytest.raises(MisdirectedError) as refused:
            check(hosts, host)
        assert "evil" not in str(refused.value)
    check(Hosts(["*"]), host)


def test_listed_names_and_addresses() -> None:
    hosts = Hosts(["Faces.Example", "192.168.0.1", "[2001:db8::1]", "2001:db8:0::2"])
    for host in ("faces.example", "FACES.example.:8080", "192.168.0.1:80", "[2001:db8::1]:8080"):
        check(hosts, host)
    check(hosts, "[2001:DB8:0:0::2]")
    for host in ("sub.faces.example", "192.168.0.2"):
        with pytest.raises(MisdirectedError):
            check(hosts, host)


def test_no_header_is_no_browser_and_two_are_no_request() -> None:
    check(Hosts())
    with pytest.raises(MisdirectedError):
        check(Hosts(), "localhost", "evil.example")
    with pytest.raises(MisdirectedError):
        check(Hosts(), "localhost", "localhost")


def test_spellings_without_end_take_no_memory() -> None:
    hosts = Hosts()
    for port in range(1, 4 * REMEMBERED):
        check(hosts, f"localhost:{port}")
    assert len(hosts._good) == REMEMBERED


@pytest.mark.parametrize(
    "entry", ["http://faces.example", "faces.example:8080", "*.example", "a/b", "", "a b", "0x7f.1"]
)
def test_entries_that_make_no_sense_are_named(entry: str) -> None:
    with pytest.raises(ConfigError, match=r"^args\.hosts: '.*' is no host name"):
        Hosts([entry])
