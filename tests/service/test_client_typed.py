"""Sending to a worker or task in place of a queue's name, and what a client does after it has sent."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import asyncpg
import psycopg
import pydantic
import pytest
import sqlalchemy
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
from sqlalchemy.orm import Session

from postmill import AsyncClient, Client, Context, worker
from postmill.model.errors import InvalidOption, InvalidPayload, NotFound, QueueNotFound
from postmill.testing import drain

if TYPE_CHECKING:
    Db = psycopg.Connection[dict[str, Any]]


@dataclass
class Invoice:
    to: str
    cents: int


class Mail(pydantic.BaseModel):
    to: str


charged: list[Invoice] = []


@worker(queue="invoices", keep_results=True)
async def charge(invoice: Invoice) -> dict[str, int]:
    charged.append(invoice)
    return {"charged": invoice.cents}


mailing = worker(queue="mails")


@mailing.task
async def welcome(mail: Mail) -> None: ...


def sent(db: Db, queue: str = "invoices") -> list[dict[str, Any]]:
    return db.execute(f"select message, headers from pgmq.q_{queue} order by msg_id").fetchall()


@pytest.fixture
def queues(db: Db) -> None:
    for queue in ("invoices", "mails"):
        db.execute("select postmill.create_queue($1)", (queue,))


async def test_a_missing_queue_is_created_where_each_send_commits(database_url: str, db: Db) -> None:
    async with AsyncClient(database_url) as client:
        await client.send(charge, Invoice("ada", 5))
        await client.send_many(welcome, [Mail(to="ada"), {"to": "bob"}])
    async with asyncpg.create_pool(database_url, min_size=1) as pool:
        await AsyncClient(pool).send(charge, {"to": "bob", "cents": 7})
    assert [row["message"]["to"] for row in sent(db)] == ["ada", "bob"]
    assert sent(db, "mails") == [
        {"message": {"to": to}, "headers": {"postmill-task": "welcome"}} for to in ("ada", "bob")
    ]


def test_the_same_without_asyncio(database_url: str, db: Db) -> None:
    with Client(database_url) as client:
        client.send(charge, Invoice("ada", 5), headers={"x": 1})
        client.send_many(welcome, [Mail(to="ada")], headers={"x": 1})
    assert sent(db) == [{"message": {"to": "ada", "cents": 5}, "headers": {"x": 1}}]
    assert sent(db, "mails")[0]["headers"] == {"postmill-task": "welcome", "x": 1}


def test_a_transaction_of_the_callers_creates_no_queue(database_url: str, db: Db) -> None:
    """It would hold locks until the caller commits; and a name in place of a worker may be mistyped."""
    with psycopg.connect(database_url) as connection, pytest.raises(QueueNotFound):
        Client(connection).send(charge, Invoice("ada", 5))
    with Client(database_url) as client, pytest.raises(QueueNotFound):
        client.send("invoices", {})
    assert db.execute("select from pgmq.meta").fetchall() == []


@pytest.mark.usefixtures("queues")
async def test_in_the_callers_transaction_what_is_rolled_back_was_never_sent(
    database_url: str, db: Db
) -> None:
    engine = sqlalchemy.create_engine(database_url.replace("postgresql://", "postgresql+psycopg://", 1))
    with Session(engine) as session:
        Client(session).send(charge, Invoice("lost", 1))
        session.rollback()
        Client(session).send(charge, Invoice("kept", 1))
        session.commit()
    engine.dispose()
    others = create_async_engine(database_url.replace("postgresql://", "postgresql+asyncpg://", 1))
    async with AsyncSession(others) as session:
        await AsyncClient(session).send(welcome, Mail(to="kept"))
        await session.commit()
    await others.dispose()
    assert [row["message"]["to"] for row in (*sent(db), *sent(db, "mails"))] == ["kept", "kept"]


@pytest.mark.usefixtures("queues")
@pytest.mark.parametrize("payload", [{"to": "ada"}, {"to": "ada", "cents": "5"}, "ada", Mail(to="ada")])
async def test_a_payload_that_does_not_fit_is_never_sent(database_url: str, db: Db, payload: object) -> None:
    async with AsyncClient(database_url) as client:
        with pytest.raises(InvalidPayload, match="does not fit 'charge'"):
            await client.send(charge, payload)
        with pytest.raises(InvalidPayload, match="does not fit 'charge'"):
            await client.send_many(charge, [Invoice("ada", 1), payload])
    with pytest.raises(InvalidPayload, match="does not fit 'charge'"):
        await charge.send(payload)
    assert sent(db) == []


async def test_handlers_send_to_workers_too(database_url: str, db: Db) -> None:
    @worker(queue="orders")
    async def order(payload: dict[str, Any], ctx: Context) -> None:
        ctx.send(charge, Invoice("ada", 5))
        async with ctx.transaction() as tx:
            await tx.send(welcome, Mail(to="ada"))
            await tx.send_many(welcome, [Mail(to="bob")])

    await drain(order, charge, mailing, database=database_url)
    with Client(database_url) as client:
        client.send(order, {})
    charged.clear()
    account = await drain(order, charge, mailing, database=database_url)
    account.raise_errors()
    assert charged == [Invoice("ada", 5)]
    assert len(account.completed) == 4


@pytest.mark.parametrize("to", [None, 7, print, object()])
def test_what_is_neither_a_name_nor_a_worker_is_refused(database_url: str, to: Any) -> None:
    with Client(database_url) as client, pytest.raises(InvalidOption):
        client.send(to, {})


@pytest.mark.usefixtures("queues")
async def test_a_message_is_cancelled_and_its_result_read(database_url: str, db: Db) -> None:
    async with AsyncClient(database_url) as client:
        cancelled, done = await client.send_many(charge, [Invoice("ada", 1), Invoice("bob", 2)])
        assert await client.cancel("invoices", cancelled) == "cancelled"
        assert await client.cancel("invoices", 999) == "not found"
        with pytest.raises(NotFound, match="no result"):
            await client.result("invoices", done)
        await drain(charge, database=database_url)
        assert await client.result("invoices", done) == {"charged": 2}
        with pytest.raises(QueueNotFound):
            await client.cancel("nothing", 1)
    with Client(database_url) as blocking:
        assert blocking.result("invoices", done) == {"charged": 2}
        assert blocking.cancel("invoices", done) == "not found"


@pytest.mark.usefixtures("queues")
async def test_dead_letters_are_replayed(database_url: str, db: Db) -> None:
    with Client(database_url) as client:
        client.send_many("invoices", [{"bad": 1}, {"bad": 2}])
        await drain(charge, database=database_url)
        letters = [row["letter_id"] for row in db.execute("select letter_id from postmill.dead order by 1")]
        edited = client.replay("invoices", letters[:1], payload=Invoice("ada", 3))
        others = client.replay("invoices")
        assert client.replay("invoices") == []
    assert [row["message"] for row in sent(db)] == [{"to": "ada", "cents": 3}, {"bad": 2}]
    assert len(edited) == len(others) == 1
    async with AsyncClient(database_url) as other:
        with pytest.raises(InvalidOption, match="exactly one"):
            await other.replay("invoices", payload={})
