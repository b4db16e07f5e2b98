"""Which addresses may be connected to.

Owns the tables and the operator's exceptions to them. Knows no DNS, sockets or URLs.

The tables are ours, after IANA's special-purpose address registries (RFC 6890 and its successors),
because ``ipaddress.is_global`` changes between patch releases of Python. That of 3.11.7 calls these
global: multicast, fec0::/10, 6to4 and NAT64 of private addresses, 64:ff9b:1::/48, 3fff::/20,
5f00::/16, IPv4-compatible ::7f00:1.
"""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from serve_app.errors import ConfigError
from serve_app.fetching.urls import normalise_host

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

SPECIAL_V4 = tuple(
    IPv4Network(text)
    for text in (
        "0.0.0.0/8",  # this network; Linux connects 0.0.0.0 to itself
        "10.0.0.0/8",  # private
        "100.64.0.0/10",  # carrier-grade NAT
        "127.0.0.0/8",  # loopback
        "169.254.0.0/16",  # link-local, metadata services
        "172.16.0.0/12",  # private
        "192.0.0.0/24",  # IETF protocol assignments
        "192.0.2.0/24",  # documentation
        "192.31.196.0/24",  # AS112
        "192.52.193.0/24",  # AMT
        "192.88.99.0/24",  # 6to4 relays, withdrawn
        "192.168.0.0/16",  # private
        "192.175.48.0/24",  # AS112
        "198.18.0.0/15",  # benchmarks
        "198.51.100.0/24",  # documentation
        "203.0.113.0/24",  # documentation
        "224.0.0.0/4",  # multicast
        "240.0.0.0/4",  # reserved, broadcast
    )
)

GLOBAL_UNICAST_V6 = IPv6Network("2000::/3")
"""All that IANA assigns from. Unique local, link-local, site-local, multicast, mapped, discard-only
and whatever comes next lie outside it."""

SPECIAL_V6 = tuple(
    IPv6Network(text)
    for text in (
        "2001::/23",  # IETF protocol assignments: Teredo, benchmarks, ORCHID, DRIP
        "2001:db8::/32",  # documentation
        "2002::/16",  # 6to4: an IPv4 address inside, and withdrawn (RFC 7526)
        "2620:4f:8000::/48",  # AS112
        "3fff::/20",  # documentation
    )
)

MAPPED = IPv6Network("::ffff:0:0/96")
NAT64 = IPv6Network("64:ff9b::/96")
_ISATAP_MASK, _ISATAP = 0xFCFFFFFF, 0x00005EFE

METADATA = frozenset(
    ip_address(text)
    for text in (
        "169.254.169.254",  # AWS, Azure, Google, OpenStack, ...
        "fd00:ec2::254",  # AWS
        "fd20:ce::254",  # Google
        "169.254.170.2",  # AWS: credentials of ECS tasks
        "169.254.170.23",  # AWS: credentials of EKS pods
        "fd00:ec2::23",  # AWS: the same
        "100.100.100.200",  # Alibaba
        "192.0.0.192",  # Oracle
        "168.63.129.16",  # Azure's host, a public address
    )
)
"""Metadata services of clouds: they give credentials to whoever asks from inside, and hold no
picture. Refused to everybody, also where an allowed network holds them or where they are public."""


def is_public(address: Address) -> bool:
    """Whether the address belongs to the public internet.

    Mapped and NAT64 addresses are judged by the IPv4 address they reach: a cluster with IPv6 only
    reaches every IPv4 host through 64:ff9b::/96. Other embeddings are refused whole. A NAT64
    prefix of the operator's own can't be told from any other prefix.
    """
    reached = reached_address(address)
    if isinstance(reached, IPv4Address):
        return not any(reached in network for network in SPECIAL_V4)
    if (int(reached) >> 32) & _ISATAP_MASK == _ISATAP:
        return False
    return reached in GLOBAL_UNICAST_V6 and not any(reached in net for net in SPECIAL_V6)


def reached_address(address: Address) -> Address:
    """The IPv4 address that a mapped or NAT64 address stands for; any other one as it is."""
    if isinstance(address, IPv6Address) and (address in MAPPED or address in NAT64):
        return IPv4Address(int(address) & 0xFFFFFFFF)
    return address


class AddressPolicy:
    """Public addresses, and those the operator listed.

    ``allow`` holds host names (exact; any address of theirs may be read), IP addresses and networks
    (CIDR). Raises ConfigError for an entry that is none of these.
    """

    def __init__(self, allow: Sequence[str] = ()) -> None:
        names: set[str] = set()
        networks: list[Network] = []
        for entry in allow:
            parsed = _parse_entry(entry)
            if isinstance(parsed, str):
                names.add(parsed)
            else:
                networks.append(parsed)
        self._names = frozenset(names)
        self._networks = tuple(networks)

    def permits(self, host: str, address: Address) -> bool:
        """Whether ``address``, an address of ``host``, may be connected to."""
        # Scoped addresses compare unequal to the same address in the tables.
        if isinstance(address, IPv6Address) and address.scope_id is not None:
            return False
        reached = reached_address(address)
        if reached in METADATA:
            return False
        if host in self._names or any(reached in network for network in self._networks):
            return True
        return is_public(address)


def _parse_entry(entry: str) -> str | Network:
    try:
        return ip_network(entry)
    except ValueError as error:
        if "/" in entry:
            raise ConfigError(
                f"fetch.allow: {entry!r} is no network; write it like 10.0.0.0/8, host bits zero"
            ) from error
    try:
        return normalise_host(entry)
    except ValueError as error:
        raise ConfigError(
            f"fetch.allow: {entry!r} is no host name, IP address or network; leave out scheme, "
            "port and wildcards, and write international names in their xn-- form"
        ) from error
