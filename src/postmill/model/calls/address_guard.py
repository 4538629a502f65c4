"""Which addresses calls may connect to. Pure: it is asked for the final address, the one that a socket is
about to connect to, so no spelling of a URL and no name server gets around it.

The networks are those of IANA's registries of special-purpose addresses (RFC 6890) that are not globally
reachable. An IPv6 address that only carries an IPv4 address is judged by that one, also where networks are
allowed by name. Translators with a prefix of a network's own (NAT64 without 64:ff9b, 6rd) can't be known.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from typing import TypeAlias

from postmill.model.errors import InvalidOption

Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address
Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network

PUBLIC = "public"
ANY = "any"

_NOT_PUBLIC = tuple(
    map(
        ipaddress.ip_network,
        (
            "0.0.0.0/8",
            "10.0.0.0/8",
            "100.64.0.0/10",
            "127.0.0.0/8",
            "169.254.0.0/16",
            "172.16.0.0/12",
            "192.0.0.0/24",
            "192.0.2.0/24",
            "192.31.196.0/24",
            "192.52.193.0/24",
            "192.88.99.0/24",
            "192.168.0.0/16",
            "192.175.48.0/24",
            "198.18.0.0/15",
            "198.51.100.0/24",
            "203.0.113.0/24",
            "224.0.0.0/4",
            "240.0.0.0/4",
            "2001::/23",
            "2001:db8::/32",
            "2620:4f:8000::/48",
            "3fff::/20",
        ),
    )
)
_GLOBAL_V6 = ipaddress.ip_network("2000::/3")
"""The only part of IPv6 that is given out for global unicast."""
_SHELLS = {
    ipaddress.ip_network("::/96"): 12,
    ipaddress.ip_network("::ffff:0:0/96"): 12,
    ipaddress.ip_network("::ffff:0:0:0/96"): 12,
    ipaddress.ip_network("64:ff9b::/96"): 12,
    ipaddress.ip_network("2002::/16"): 2,
}
"""Networks whose addresses are an IPv4 address from that byte on, and nothing else: compatible, mapped,
translated, NAT64 and 6to4.
"""
_CARRIES_NONE = frozenset(map(ipaddress.ip_address, ("::", "::1")))
"""In the first of these networks without an IPv4 address: no host at all, and this one."""
_TEREDO = ipaddress.ip_network("2001::/32")
"""Carries the IPv4 address of a server and, inverted, that of a client (RFC 4380)."""
_LOCAL_NAT64 = ipaddress.ip_network("64:ff9b:1::/48")
"""Carries an IPv4 address behind a prefix of 48, 56, 64 or 96 bits (RFC 8215), and does not say which."""
_PREFIX_BYTES = (6, 7, 8, 12)
_SKIPPED_BYTE = 8
"""The byte that is no part of an IPv4 address that a translator puts into IPv6 (RFC 6052, section 2.2)."""
_THIS_NETWORK = ipaddress.ip_network("0.0.0.0/8")
_ISATAP = 0x00005EFE
"""The first half of an interface's name that carries an IPv4 address (RFC 5214)."""
_SCOPE_BITS = 0x03000000
"""Two bits of it that may be set or not: whether the name is unique, and whether it is a group's."""


@dataclass(frozen=True, slots=True)
class AddressGuard:
    """The rule of one process."""

    is_open: bool = False
    """Whether every address is allowed."""
    allowed: tuple[Network, ...] = ()
    """Networks that are allowed beside the public ones."""

    def refusal(self, address: str) -> str | None:
        """Why a connection to ``address`` is refused; None when it is not. What can't be read is refused."""
        if self.is_open:
            return None
        try:
            final = ipaddress.ip_address(address.partition("%")[0])
        except ValueError:
            return f"{address} is no IP address"
        if all(_is_public(each) or self._is_allowed(each) for each in _meanings(final)):
            return None
        return f"{address} is not a public address"

    def _is_allowed(self, address: Address) -> bool:
        return any(_contains(network, address) for network in self.allowed)


def guard_of(text: str) -> AddressGuard:
    """The rule from a setting: ``public``, ``any``, or networks beside the public ones, with commas between.

    Raises :class:`InvalidOption`.
    """
    words = [word for word in text.replace(",", " ").split() if word != PUBLIC]
    if words == [ANY]:
        return AddressGuard(is_open=True)
    try:
        return AddressGuard(allowed=tuple(ipaddress.ip_network(word) for word in words))
    except ValueError as error:
        raise InvalidOption(
            f"calls.addresses = {text!r} can't be read.",
            why=f"{error}.",
            hint="Write public, any, or the networks to allow beside the public ones: 10.1.0.0/16, fd00::/8",
        ) from error


def _is_public(address: Address) -> bool:
    if isinstance(address, ipaddress.IPv6Address) and address not in _GLOBAL_V6:
        return False
    return not any(_contains(network, address) for network in _NOT_PUBLIC)


def _meanings(address: Address) -> tuple[Address, ...]:
    """All addresses to which packets for ``address`` may go in the end: each must be one that is allowed. A
    tunnel's own address is one of them, as a network may use it without the tunnel.
    """
    if not isinstance(address, ipaddress.IPv6Address) or address in _CARRIES_NONE:
        return (address,)
    for network, start in _SHELLS.items():
        if address in network:
            return (_embedded(address, start),)
    if address in _TEREDO:
        return address, _embedded(address, 4), ipaddress.IPv4Address(~int(address) & 0xFFFFFFFF)
    if address in _LOCAL_NAT64:
        read = [_embedded(address, start) for start in _PREFIX_BYTES]
        return address, *(each for each in read if each not in _THIS_NETWORK)
    if int(address) >> 32 & 0xFFFFFFFF & ~_SCOPE_BITS == _ISATAP:
        return address, _embedded(address, 12)
    return (address,)


def _embedded(address: ipaddress.IPv6Address, start: int) -> ipaddress.IPv4Address:
    """The IPv4 address that stands in an IPv6 address from its byte ``start`` on."""
    after = [byte for place, byte in enumerate(address.packed) if place >= start and place != _SKIPPED_BYTE]
    return ipaddress.IPv4Address(bytes(after[:4]))


def _contains(network: Network, address: Address) -> bool:
    return address.version == network.version and address in network
