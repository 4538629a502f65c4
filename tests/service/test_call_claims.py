"""While a host has no place, calls to all others are taken in turns, and its own when it has places again."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import pytest

from postmill.calls import call_claims
from postmill.calls.call_claims import CallClaims
from postmill.db.hot.shared_connection import SharedConnection
from postmill.model.config.address import Address

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import asyncpg


@pytest.fixture
async def claims(database_url: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[CallClaims]:
    """Three places a host, four calls a statement, two hosts a walk."""
    for name, bound in {"MOST": 12, "MOST_A_HOST": 3, "BATCH": 4, "HOSTS": 2}.items():
        monkeypatch.setattr(call_claims, name, bound)
    shared = SharedConnection(Address(database_url), "calls")
    yield CallClaims(shared, functions=True)
    await shared.close()


async def asked(adb: asyncpg.Connection, hosts: str, calls: int) -> None:
    for host in hosts:
        await adb.execute(
            "select postmill.call($1) from generate_series(1, $2::int)", f"https://{host}/", calls
        )


async def taken(claims: CallClaims) -> list[str]:
    """The hosts of all calls that are taken until no more has a place."""
    hosts: list[str] = []
    more = True
    while more:
        rows, more = await claims.take()
        hosts += [row["host"].removeprefix("https://") for row in rows]
    return hosts


async def test_a_full_host_is_passed_by_and_all_others_are_reached(
    claims: CallClaims, adb: asyncpg.Connection
) -> None:
    await asked(adb, "m", 50)
    assert await taken(claims) == ["m"] * 3
    await asked(adb, "abxyz", 1)
    assert sorted(await taken(claims)) == ["a", "b", "x", "y", "z"]
    for _ in range(2):
        claims.ended("https://m")
    await asked(adb, "c", 1)
    assert Counter(await taken(claims)) == {"c": 1, "m": 2}


async def test_hosts_with_long_backlogs_share_the_places_that_are_left(
    claims: CallClaims, adb: asyncpg.Connection
) -> None:
    """The next walk begins where the last has ended, and not with the first host again."""
    await asked(adb, "m", 50)
    await taken(claims)
    await asked(adb, "abcz", 9)
    assert Counter(await taken(claims)) == {"a": 3, "b": 1, "c": 3, "z": 2}
    for _ in range(3):
        claims.ended("https://c")
    assert Counter(await taken(claims)) == {"b": 2, "c": 1}


async def test_places_are_filled_again_when_half_of_them_are_free(
    claims: CallClaims, adb: asyncpg.Connection
) -> None:
    """One statement for many calls: a claim for each that ends took longer than the calls."""
    await asked(adb, "m", 50)
    await taken(claims)
    await asked(adb, "a", 2)
    assert await taken(claims) == ["a"] * 2
    assert [claims.ended("https://a") for _ in range(2)] == [False, False], "no call to it waits"
    assert [claims.ended("https://m") for _ in range(3)] == [False, True, False]
    assert await taken(claims) == ["m"] * 3


async def test_a_process_without_any_place_looks_again_when_it_has_some(
    claims: CallClaims, adb: asyncpg.Connection
) -> None:
    await asked(adb, "abcdef", 2)
    assert await taken(claims) == [host for host in "abcdef" for _ in range(2)]
    await asked(adb, "x", 1)
    assert await taken(claims) == []
    assert claims.ended("https://a")
    assert await taken(claims) == ["x"]
