"""Which addresses calls may connect to: every spelling of a private one is refused."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postmill.model.calls.address_guard import AddressGuard, guard_of
from postmill.model.errors import InvalidOption

PUBLIC = [
    "1.1.1.1",
    "8.8.8.8",
    "172.15.255.255",
    "172.32.0.1",
    "100.63.255.255",
    "100.128.0.1",
    "223.255.255.254",
    "2606:4700::1111",
    "2a00:1450:4001::1",
    "::ffff:8.8.8.8",
    "64:ff9b::8.8.8.8",
    "2002:808:808::1",
]
PRIVATE = [
    "127.0.0.1", "127.255.255.254", "0.0.0.0", "0.1.2.3", "10.0.0.1", "172.16.0.1",
    "172.31.255.255", "192.168.0.1", "169.254.169.254", "100.64.0.1", "100.100.100.200",
    "192.0.0.192", "192.0.2.1", "198.18.0.1", "198.51.100.1", "203.0.113.1", "224.0.0.1",
    "239.255.255.250", "240.0.0.1", "255.255.255.255", "192.88.99.1", "::", "::1", "fe80::1",
    "fe80::1%eth0", "fec0::1", "fc00::1", "fd00:ec2::254", "ff02::1", "100::1", "2001:db8::1",
    "3fff::1", "5f00::1", "64:ff9b:1::1", "2001:10::1", "2001:2::1", "::ffff:127.0.0.1",
    "::ffff:10.0.0.1", "::ffff:169.254.169.254", "::127.0.0.1", "::ffff:0:10.0.0.1",
    "64:ff9b::10.0.0.1", "64:ff9b::a9fe:a9fe", "2002:7f00:1::", "2002:a00:1::1", "2002:a9fe:a9fe::",
    "2001:0:a00:1::1", "2001::f5ff:fffe", "2a00::5efe:10.0.0.1", "2a00::200:5efe:192.168.0.1", "",
    "localhost", "127.1", "0x7f.0.0.1", "0177.0.0.1", "2130706433", "1.1.1.1 ", "::1]",
    "\uff11\uff12\uff17.0.0.1",
]  # fmt: skip


@pytest.mark.parametrize("address", PUBLIC)
def test_public_addresses_are_allowed(address: str) -> None:
    assert AddressGuard().refusal(address) is None


@pytest.mark.parametrize("address", PRIVATE)
def test_every_spelling_of_a_private_address_is_refused(address: str) -> None:
    assert AddressGuard().refusal(address)


@given(st.ip_addresses())
def test_what_python_knows_to_be_not_global_is_never_allowed(
    address: ipaddress.IPv4Address | ipaddress.IPv6Address,
) -> None:
    """Two lists, made by different people. IPv6 that only carries an IPv4 address is told by that one."""
    if AddressGuard().refusal(str(address)) is None:
        mapped = getattr(address, "ipv4_mapped", None) or getattr(address, "sixtofour", None) or address
        assert mapped.is_global or address in ipaddress.ip_network("64:ff9b::/96")
        assert not mapped.is_multicast


@given(st.ip_addresses(v=4))
def test_an_address_in_a_shell_is_judged_as_the_address(address: ipaddress.IPv4Address) -> None:
    guard = AddressGuard()
    bare = guard.refusal(str(address)) is None
    number = int(address)
    for shell in (0xFFFF << 32 | number, 0x64FF9B << 96 | number, 0x2002 << 112 | number << 80):
        assert (guard.refusal(str(ipaddress.IPv6Address(shell))) is None) == bare


def test_networks_may_be_allowed_beside_the_public_ones() -> None:
    guard = guard_of("10.1.0.0/16, fd00::/8")
    for address in ("10.1.2.3", "::ffff:10.1.2.3", "fd00::1", "8.8.8.8"):
        assert guard.refusal(address) is None
    for address in ("10.2.0.1", "127.0.0.1", "::1"):
        assert guard.refusal(address)


@pytest.mark.parametrize(
    ("shell", "address"),
    [
        ("mapped", "::ffff:{}"),
        ("compatible", "::{}"),
        ("translated", "::ffff:0:{}"),
        ("nat64", "64:ff9b::{}"),
        ("6to4", "2002:{hex}::1"),
        ("6to4, any interface", "2002:{hex}:ffff:ffff:ffff:ffff:ffff"),
        ("isatap", "2a00::5efe:{}"),
        ("isatap, unique", "2a00::200:5efe:{}"),
        ("isatap, a group", "2a00::100:5efe:{}"),
        ("isatap, both", "2a00::300:5efe:{}"),
        ("isatap inside", "fd00::5efe:{}"),
        ("teredo's server", "2001:0:{hex}::f7f7:f7f7"),
        ("teredo's client", "2001:0:808:808::{inverted}"),
        ("local nat64, 96", "64:ff9b:1::{}"),
        ("local nat64, 64", "64:ff9b:1:0:{split}"),
        ("local nat64, 56", "64:ff9b:1:{bytes[0]}:{bytes[1]}:{bytes[2]}{bytes[3]}::"),
        ("local nat64, 48", "64:ff9b:1:{bytes[0]}{bytes[1]}:{bytes[2]}:{bytes[3]}00::"),
    ],
)
def test_an_address_in_any_shell_is_judged_by_what_it_carries(shell: str, address: str) -> None:
    """A network that was allowed by name let through what its addresses carry, whatever that was. Here IPv6
    is allowed, so that only what is carried decides.
    """
    guard = guard_of("::/0, 10.1.0.0/16")
    for carried, is_allowed in CARRIED.items():
        shelled = in_shell(address, ipaddress.IPv4Address(carried))
        assert (guard.refusal(shelled) is None) == is_allowed, (shell, shelled)


CARRIED = {
    "8.8.8.8": True,
    "10.1.2.3": True,
    "10.2.2.3": False,
    "127.0.0.1": False,
    "169.254.169.254": False,
    "192.168.1.1": False,
}


def in_shell(form: str, address: ipaddress.IPv4Address) -> str:
    """``address`` as it stands in an IPv6 address of that form."""
    octets = address.packed.hex(" ").split()
    return form.format(
        address,
        hex=f"{octets[0]}{octets[1]}:{octets[2]}{octets[3]}",
        inverted=ipaddress.IPv6Address(~int(address) & 0xFFFFFFFF).exploded[-9:],
        split=f"{octets[0]}:{octets[1]}{octets[2]}:{octets[3]}00:0",
        bytes=octets,
    )


def test_the_loopback_address_of_ipv6_can_be_allowed() -> None:
    """It stands in the network of IPv4-compatible addresses, and carries none."""
    assert guard_of("::1").refusal("::1") is None
    assert guard_of("127.0.0.0/8, 0.0.0.0/8").refusal("::1")


def test_what_a_setting_can_say() -> None:
    assert guard_of("public") == AddressGuard()
    assert guard_of("any").refusal("127.0.0.1") is None
    for text in ("privat", "10.1.2.3/8", "any, 10.0.0.0/8"):
        with pytest.raises(InvalidOption, match="addresses"):
            guard_of(text)
