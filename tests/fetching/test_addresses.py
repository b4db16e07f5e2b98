"""Which addresses are public, and what an operator's list adds."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network, IPv6Address, ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serve_app.errors import ConfigError
from serve_app.fetching.addresses import AddressPolicy, is_public

# Written down a second time, on purpose: a line lost from the module's table must fail a test.
SPECIAL = """
    0.0.0.0/8 10.0.0.0/8 100.64.0.0/10 127.0.0.0/8 169.254.0.0/16 172.16.0.0/12 192.0.0.0/24
    192.0.2.0/24 192.31.196.0/24 192.52.193.0/24 192.88.99.0/24 192.168.0.0/16 192.175.48.0/24
    198.18.0.0/15 198.51.100.0/24 203.0.113.0/24 224.0.0.0/4 240.0.0.0/4
"""
METADATA = """
    169.254.169.254 169.254.170.2 169.254.170.23 100.100.100.200 192.0.0.192 168.63.129.16
    fd00:ec2::254 fd00:ec2::23 fd20:ce::254
"""
NETWORKS = [IPv4Network(text) for text in SPECIAL.split()]
EDGES = [edge for network in NETWORKS for edge in (network[0], network[-1])]


def spellings(address: IPv4Address) -> dict[str, IPv6Address]:
    """IPv6 addresses that lead to, or are read by something as, an IPv4 address."""
    number = int(address)
    return {
        "mapped": IPv6Address((0xFFFF << 32) | number),
        "translated": IPv6Address((0xFFFF << 48) | number),
        "compatible": IPv6Address(number),
        "nat64": IPv6Address(int(IPv6Address("64:ff9b::")) | number),
        "nat64 local": IPv6Address(int(IPv6Address("64:ff9b:1::")) | number),
        "6to4": IPv6Address((0x2002 << 112) | (number << 80) | 1),
        "teredo server": IPv6Address((0x20010000 << 96) | (number << 64)),
        "teredo client": IPv6Address((0x20010000 << 96) | (number ^ 0xFFFFFFFF)),
        "isatap": IPv6Address((0x2A00 << 112) | (0x5EFE << 32) | number),
        "isatap global": IPv6Address((0x2A00 << 112) | (0x02005EFE << 32) | number),
    }


@pytest.mark.parametrize("address", EDGES, ids=str)
def test_edges_of_special_networks_are_refused_in_every_spelling(address: IPv4Address) -> None:
    assert not is_public(address)
    public = [name for name, each in spellings(address).items() if is_public(each)]
    assert public == []


@pytest.mark.parametrize("network", NETWORKS, ids=str)
def test_neighbours_of_special_networks_are_public(network: IPv4Network) -> None:
    for number in (int(network[0]) - 1, int(network[-1]) + 1):
        if 0 <= number <= 0xFFFFFFFF:
            neighbour = IPv4Address(number)
            assert is_public(neighbour) is not any(neighbour in each for each in NETWORKS)


@pytest.mark.parametrize(
    "text",
    [
        "1.1.1.1",
        "8.8.8.8",
        "93.184.215.14",
        "2606:4700::1111",
        "2a00:1450:4001::200e",
        "2001:4860:4860::8888",
        "2001:200::",
        "::ffff:8.8.8.8",
        "64:ff9b::808:808",
    ],
)
def test_public_addresses(text: str) -> None:
    assert AddressPolicy().permits("any.example", ip_address(text))


@pytest.mark.parametrize(
    "text",
    [
        "::",
        "::1",
        "100::1",
        "100:0:0:1::1",
        "64:ff9b:1::808:808",
        "2001::1",
        "2001:2::1",
        "2001:10::1",
        "2001:20::1",
        "2001:1ff:ffff:ffff:ffff:ffff:ffff:ffff",
        "2001:db8::1",
        "2002:808:808::1",
        "2620:4f:8000::1",
        "3fff::1",
        "3fff:fff:ffff:ffff:ffff:ffff:ffff:ffff",
        "4000::1",
        "5f00::1",
        "fc00::1",
        "fd00:ec2::254",
        "fdff::1",
        "fe80::1",
        "fe80::1%1",
        "febf::1",
        "fec0::1",
        "ff02::1",
        "ff0e::1",
        "2606:4700::1111%1",
        "168.63.129.16",
        "::ffff:168.63.129.16",
        "64:ff9b::a83f:8110",
    ],
)
def test_special_addresses_are_refused(text: str) -> None:
    assert not AddressPolicy().permits("any.example", ip_address(text))


@given(st.ip_addresses())
def test_nothing_is_public_that_the_standard_library_calls_private(
    address: IPv4Address | IPv6Address,
) -> None:
    if is_public(address) and getattr(address, "ipv4_mapped", None) is None:
        assert address.is_global
        assert not address.is_multicast


@given(st.ip_addresses(v=4))
def test_mapped_and_nat64_are_judged_as_what_they_reach(address: IPv4Address) -> None:
    embedded = spellings(address)
    assert is_public(embedded.pop("mapped")) is is_public(address)
    assert is_public(embedded.pop("nat64")) is is_public(address)
    # The others are refused whatever they hold.
    assert not any(map(is_public, embedded.values()))


def test_allowed_networks_and_addresses() -> None:
    policy = AddressPolicy(["10.1.0.0/16", "127.0.0.1", "fd12::/16"])
    for text in ("10.1.2.3", "127.0.0.1", "fd12::1", "::ffff:10.1.2.3", "64:ff9b::a01:203"):
        assert policy.permits("any.example", ip_address(text)), text
    for text in ("10.2.0.0", "127.0.0.2", "fd13::1", "::1", "::ffff:10.2.0.0", "fd12::1%1"):
        assert not policy.permits("any.example", ip_address(text)), text


def test_an_allowed_name_is_exact_and_covers_its_addresses() -> None:
    policy = AddressPolicy(["Images.Internal."])
    private = ip_address("10.0.0.7")
    assert policy.permits("images.internal", private)
    assert not policy.permits("evil.images.internal", private)
    assert not policy.permits("images.internal.example", private)
    assert not policy.permits("10.0.0.7", private)


@pytest.mark.parametrize("address", [*map(ip_address, METADATA.split())], ids=str)
def test_metadata_services_are_refused_whatever_is_allowed(
    address: IPv4Address | IPv6Address,
) -> None:
    policy = AddressPolicy(["0.0.0.0/0", "::/0", "metadata.internal", str(address)])
    assert not policy.permits("metadata.internal", address)
    if isinstance(address, IPv4Address):
        embedded = spellings(address)
        assert not policy.permits("metadata.internal", embedded["mapped"])
        assert not policy.permits("metadata.internal", embedded["nat64"])


@pytest.mark.parametrize(
    "entry",
    [
        "",
        "10.0.0.1/8",
        "10.0.0.0/33",
        "http://a.example",
        "a.example:80",
        "*.example",
        "2130706433",
        "a b",
        "bücher.example",
        "127.1",
        "a..b",
        "x" * 64,
    ],
)
def test_entries_that_make_no_sense_are_named(entry: str) -> None:
    with pytest.raises(ConfigError, match=r"fetch\.allow") as caught:
        AddressPolicy(["good.example", entry])
    assert repr(entry) in str(caught.value)
