"""Sending to several databases: each message to the home of its key, and no further than that."""

from __future__ import annotations

import pickle
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any
from uuid import UUID

import asyncpg
import psycopg
import pytest

from postmill import AsyncClient, AsyncRoutedClient, Client, Databases, Route, RoutedClient, Then
from postmill.client.placing import KEY_HEADER
from postmill.model.databases.rendezvous import home
from postmill.model.errors import DatabaseUnavailable, InvalidOption, Refused
from postmill.model.queue.sent import Sent
from tests import servers

if TYPE_CHECKING:
    from collections.abc import Iterator

    from postmill.embedded import Server

NAMES = ("eu1", "eu2")
KEYS = [f"tenant-{number}" for number in range(20)]
KEY = {name: next(key for key in KEYS if home(key, NAMES) == name) for name in NAMES}
"""A key that lives in each."""


@pytest.fixture
def urls(shared_server: Server, administrator: psycopg.Connection[Any]) -> Iterator[dict[str, str]]:
    with ExitStack() as stack:
        made = {
            name: stack.enter_context(servers.cloned_by(administrator, shared_server.url)) for name in NAMES
        }
        for name, url in made.items():
            with servers.session(url) as db:
                db.execute("select postmill.create_queue('mail'), postmill.name_database($1)", [name])
        yield made


@pytest.fixture
def databases(urls: dict[str, str]) -> Databases:
    return Databases.of(urls, {"mail": Route(NAMES, "tenant"), "audit": Route(("eu2",))})


def rows(url: str, queue: str = "mail") -> list[dict[str, Any]]:
    with servers.session(url) as db:
        return db.execute(f"select msg_id, message, headers from pgmq.q_{queue} order by msg_id").fetchall()


async def test_each_message_goes_to_the_home_of_its_key(databases: Databases, urls: dict[str, str]) -> None:
    async with AsyncRoutedClient(databases) as client:
        sent = [await client.send("mail", {"n": key}, shard_key=key) for key in KEYS]
    assert [each.database for each in sent] == [home(key, NAMES) for key in KEYS]
    for name, url in urls.items():
        mine = [(int(each), key) for each, key in zip(sent, KEYS, strict=True) if each.database == name]
        assert [(row["msg_id"], row["headers"][KEY_HEADER]) for row in rows(url)] == mine


def test_the_synchronous_client_finds_the_same_homes(databases: Databases, urls: dict[str, str]) -> None:
    with RoutedClient(databases) as client:
        sent = [client.send("mail", {"tenant": key}) for key in KEYS]
        many = client.send_many("mail", [{"n": key} for key in KEYS], shard_key=lambda payload: payload["n"])
        assert client.cancel(sent[0]) == "cancelled"
    assert [each.database for each in (*sent, *many)] == [home(key, NAMES) for key in KEYS] * 2
    assert sum(len(rows(url)) for url in urls.values()) == 2 * len(KEYS) - 1


async def test_many_are_sent_in_the_order_of_the_payloads(databases: Databases, urls: dict[str, str]) -> None:
    async with AsyncRoutedClient(databases) as client:
        sent = await client.send_many("mail", ({"tenant": key} for key in KEYS), headers={"a": 1})
    found = {
        (name, row["msg_id"]): (row["message"]["tenant"], row["headers"])
        for name, url in urls.items()
        for row in rows(url)
    }
    assert [found[str(each.database), int(each)] for each in sent] == [
        (key, {"a": 1, KEY_HEADER: key}) for key in KEYS
    ]


async def test_a_key_may_be_a_number_or_a_uuid(databases: Databases, urls: dict[str, str]) -> None:
    number, uuid = 42, UUID(int=7)
    async with AsyncRoutedClient(databases) as client:
        for key in (number, uuid):
            assert (await client.send("mail", {}, shard_key=key)).database == home(str(key), NAMES)
        for wrong in (1.5, True, "", "a\0", b"x"):
            with pytest.raises(InvalidOption, match="shard_key"):
                await client.send("mail", {}, shard_key=wrong)  # type: ignore[arg-type]


async def test_a_key_is_asked_for_and_a_wrong_queue_is_told(databases: Databases) -> None:
    async with AsyncRoutedClient(databases) as client:
        with pytest.raises(InvalidOption, match="needs a key"):
            await client.send("mail", {"other": 1})
        with pytest.raises(InvalidOption, match="Did you mean mail"):
            await client.send("mial", {}, shard_key="acme")
        with pytest.raises(InvalidOption, match="There is no database 'eu3'"):
            client.at("eu3")


async def test_in_the_callers_transaction_a_key_that_lives_elsewhere_is_refused(
    databases: Databases, urls: dict[str, str]
) -> None:
    connection = await asyncpg.connect(urls["eu1"])
    try:
        async with connection.transaction():
            client = AsyncRoutedClient(databases, connection)
            assert (await client.send("mail", {}, shard_key=KEY["eu1"])).database == "eu1"
            with pytest.raises(Refused) as raised:
                await client.send("mail", {}, shard_key=KEY["eu2"])
            with pytest.raises(Refused, match="Queue audit lives in database eu2"):
                await client.send("audit", {})
            with pytest.raises(
                Refused
            ):  # before anything is sent: the transaction has one message, as before
                await client.send_many("mail", [{"tenant": KEY["eu1"]}, {"tenant": KEY["eu2"]}])
    finally:
        await connection.close()
    assert f"with the key {KEY['eu2']!r} lives in database eu2, and this connection leads to eu1" in str(
        raised.value
    )
    assert "One transaction can't write to two databases" in str(raised.value)
    assert [len(rows(url)) for url in urls.values()] == [1, 0]


def test_the_same_with_psycopg(databases: Databases, urls: dict[str, str]) -> None:
    with psycopg.connect(urls["eu2"]) as connection:
        client = RoutedClient(databases, connection)
        client.send("mail", {}, shard_key=KEY["eu2"])
        with pytest.raises(Refused, match="this connection leads to eu2"):
            client.send("mail", {}, shard_key=KEY["eu1"])
    assert [len(rows(url)) for url in urls.values()] == [0, 1]


async def test_a_connection_to_a_database_without_a_name_is_refused(
    databases: Databases, database_url: str
) -> None:
    connection = await asyncpg.connect(database_url)
    try:
        with pytest.raises(Refused, match="postmill migrate"):
            await AsyncRoutedClient(databases, connection).send("mail", {}, shard_key="acme")
    finally:
        await connection.close()


async def test_exchanged_addresses_are_noticed_before_anything_is_sent(urls: dict[str, str]) -> None:
    exchanged = Databases.of({"eu1": urls["eu2"], "eu2": urls["eu1"]}, {"mail": Route(NAMES)})
    async with AsyncRoutedClient(exchanged) as client:
        for _ in range(2):
            with pytest.raises(Refused, match="leads to the database"):
                await client.send("mail", {}, shard_key="acme")
    assert [rows(url) for url in urls.values()] == [[], []]


async def test_a_database_that_is_away_fails_its_own_keys_only(urls: dict[str, str]) -> None:
    away = Databases.of({**urls, "eu2": "postgresql://a@127.0.0.1:1/x"}, {"mail": Route(NAMES)})
    async with AsyncRoutedClient(away) as client:
        with pytest.raises(DatabaseUnavailable):
            await client.send("mail", {}, shard_key=KEY["eu2"])
        assert (await client.send("mail", {}, shard_key=KEY["eu1"])).database == "eu1"


async def test_nothing_ties_messages_of_two_databases(databases: Databases) -> None:
    async with AsyncRoutedClient(databases) as client:
        source = await client.send("mail", {}, shard_key=KEY["eu1"])
        with pytest.raises(InvalidOption, match="own database only"):
            await client.send("mail", {}, shard_key=KEY["eu2"], after=source)
        waiting = await client.send("mail", {}, shard_key=KEY["eu1"], after=[source])
        assert waiting.database == "eu1"
        with pytest.raises(InvalidOption, match="then_send names queue audit"):
            await client.send("mail", {}, shard_key=KEY["eu1"], then_send=Then("audit", {}))
        await client.send("mail", {}, shard_key=KEY["eu1"], then_send=Then("mail", {}))


async def test_a_queue_is_created_in_each_database_of_its_route(
    databases: Databases, urls: dict[str, str]
) -> None:
    async with AsyncRoutedClient(databases) as client:
        await client.create_queue("audit")
        assert (await client.send("audit", {})).database == "eu2"
    assert len(rows(urls["eu2"], "audit")) == 1
    with pytest.raises(psycopg.Error):
        rows(urls["eu1"], "audit")


async def test_what_fails_in_the_second_database_says_what_the_first_has(
    databases: Databases, urls: dict[str, str]
) -> None:
    with servers.session(urls["eu2"]) as db:
        db.execute("select postmill.drop_queue('mail')")
    payloads = [{"tenant": KEY["eu1"]}, {"tenant": KEY["eu2"]}]
    async with AsyncRoutedClient(databases) as client:
        with pytest.raises(Exception, match="mail") as raised:
            await client.send_many("mail", payloads)
    assert raised.value.__notes__ == ["send_many failed in database eu2; sent already: 1 to eu1."]
    assert len(rows(urls["eu1"])) == 1


async def test_a_client_for_one_database_knows_its_name(urls: dict[str, str], database_url: str) -> None:
    async with AsyncClient(urls["eu2"]) as client:
        assert await client.database_name() == "eu2"
    with Client(database_url) as other:
        assert other.database_name() is None


def test_what_was_sent_can_be_stored() -> None:
    sent = Sent(7, "mail").of("eu1")
    again = pickle.loads(pickle.dumps(sent))
    assert (again, again.queue, again.database) == (7, "mail", "eu1")
