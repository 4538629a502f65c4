"""Which addresses calls may connect to. Pure: it is asked for the final address, the one that a socket is
about to connect to, so no spelling of a URL and no name server gets around it.

The networks are those of IANA's registries of special-purpose addresses (RFC 6890) that are not globally
reachable. An IPv6 address that only carries an IPv4 address is judged by that one.
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
_SIX_TO_FOUR = ipaddress.ip_network("2002::/16")
_IN_LAST_BITS = tuple(
    map(ipaddress.ip_network, ("::/96", "::ffff:0:0/96", "::ffff:0:0:0/96", "64:ff9b::/96"))
)
"""Networks whose last 32 bits are an IPv4 address: compatible, mapped, translated, and NAT64."""
_ISATAP = frozenset({0x00005EFE, 0x02005EFE})
"""The first half of an interface's name that carries an IPv4 address (RFC 5214)."""


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
        if any(_contains(network, each) for network in self.allowed for each in (final, *_carried(final))):
            return None
        if all(map(_is_public, _carried(final) or (final,))):
            return None
        return f"{address} is not a public address"


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


def _carried(address: Address) -> tuple[Address, ...]:
    """The IPv4 addresses to which packets for an IPv6 address may go in the end."""
    if not isinstance(address, ipaddress.IPv6Address):
        return ()
    number = int(address)
    if any(address in network for network in _IN_LAST_BITS):
        return (ipaddress.IPv4Address(number & 0xFFFFFFFF),)
    if address in _SIX_TO_FOUR:
        return (ipaddress.IPv4Address(number >> 80 & 0xFFFFFFFF),)
    if number >> 32 & 0xFFFFFFFF in _ISATAP:
        return address, ipaddress.IPv4Address(number & 0xFFFFFFFF)
    return ()


def _contains(network: Network, address: Address) -> bool:
    return address.version == network.version and address in network
