"""pgmq-js, a client in JavaScript, and ours on the same queues."""

from __future__ import annotations

import asyncio
import json
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from psycopg.conninfo import conninfo_to_dict

from postmill import AsyncClient, Context, worker
from postmill.model.events import Event
from tests.clients.installed import environment, node
from tests.interop.facades import beside_each_facade
from tests.service.running import running
from tests.sql.asking import Database, column, row, value

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Client = Callable[..., Any]

SCRIPT = Path(__file__).parent.parent / "clients" / "pgmq.mjs"
pytestmark = pytest.mark.usefixtures("with_facades")


class Refused(Exception):
    """pgmq-js has thrown an error; its message."""


@pytest.fixture(scope="module")
def program() -> Iterator[Client]:
    """A process of Node.js for all tests: calls a method of pgmq-js, and gives what its user would see."""
    command = [node("pgmq-js"), SCRIPT]
    with subprocess.Popen(
        command, env=environment(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        told, heard = process.stdin, process.stdout

        def call(method: str, *given: object) -> Any:
            print(json.dumps({"call": method, "arguments": given}), file=told, flush=True)
            answer = json.loads(heard.readline())
            if "error" in answer:
                raise Refused(answer["error"])
            return answer.get("value")

        yield call
        told.close()


@pytest.fixture
def client(program: Client, database_url: str) -> Iterator[Client]:
    """pgmq-js on the test's database, told not to create the extension."""
    known = conninfo_to_dict(database_url)
    address = {
        "host": known["host"],
        "port": int(known.get("port") or 5432),
        "user": known.get("user"),
        "password": known.get("password"),
        "database": known["dbname"],
        "ssl": False,
        "connectionTimeoutMillis": 30_000,  # a busy server may need more than the second it would wait
    }
    program("open", address, {"skipExtensionCreation": True})
    yield program
    program("close")


@beside_each_facade
def test_every_method_of_theirs_on_our_queue(db: Database, client: Client) -> None:
    """Their programs begin with ``create``: it leaves a queue of ours as it is."""
    db.execute(b"select postmill.create_queue('ours')")
    client("queue.create", "ours")
    assert row(db, "select queue_name, owned from postmill.queues") == {"queue_name": "ours", "owned": True}

    assert client("msg.send", "ours", {"n": 1}) == 1
    assert client("msg.sendBatch", "ours", [{"n": 2}, {"n": 3}, {"n": 4}, {"n": 5}, {"n": 6}]) == [
        2,
        3,
        4,
        5,
        6,
    ]
    assert client("msg.send", "ours", {"n": 7}, 3600) == 7
    states = "select state from postmill.messages('ours') order by msg_id"
    assert column(db, states) == [*["ready"] * 6, "scheduled"]

    first = client("msg.read", "ours", 30)
    assert (first["msgId"], first["readCount"], first["message"]) == (1, 1, {"n": 1})
    assert (
        datetime.fromisoformat(first["enqueuedAt"]) < datetime.now(UTC) < datetime.fromisoformat(first["vt"])
    )
    assert [each["msgId"] for each in client("msg.readBatch", "ours", 30, 2)] == [2, 3]
    assert client("msg.pop", "ours")["message"] == {"n": 4}

    assert client("msg.archive", "ours", 1) is True
    assert client("msg.archive", "ours", 1) is False
    assert client("msg.archiveBatch", "ours", [2, 99]) == [2]
    assert client("msg.delete", "ours", 3) is True
    assert client("msg.deleteBatch", "ours", [5, 99]) == [5]
    assert column(db, states) == ["completed", "completed", "ready", "scheduled"]

    metrics = client("queue.getMetrics", "ours")
    assert (metrics["queueName"], metrics["queueLength"], metrics["totalMessages"]) == ("ours", 2, 7)
    client("queue.purge", "ours")
    assert (
        client("msg.read", "ours"),
        client("msg.readBatch", "ours", 30, 2),
        client("msg.pop", "ours"),
    ) == (
        None,
        [],
        None,
    )
    client("queue.drop", "ours")
    assert column(db, "select queue_name from postmill.queue_stats()") == []


def test_our_functions_on_their_queues(db: Database, client: Client) -> None:
    client("queue.create", "theirs")
    client("queue.createUnlogged", "fast")
    client("queue.detachArchive", "theirs")
    client("msg.send", "theirs", {"n": 1})
    db.execute(b"select postmill.send('theirs', '{\"n\": 2}')")
    db.execute(b"select postmill.send('fast', '{\"n\": 3}')")

    listed = {each["name"]: each for each in client("queue.list")}
    assert {name: each["isUnlogged"] for name, each in listed.items()} == {"theirs": False, "fast": True}
    assert datetime.fromisoformat(listed["theirs"]["createdAt"]) <= datetime.now(UTC)
    assert {each["queueName"]: each["queueLength"] for each in client("queue.getAllMetrics")} == {
        "theirs": 2,
        "fast": 1,
    }
    assert value(db, "select postmill.cancel('theirs', 1)") == "cancelled"
    assert client("msg.readBatch", "theirs", 30, 9)[0]["message"] == {"n": 2}
    assert client("msg.pop", "fast")["message"] == {"n": 3}
    assert column(db, "select owned from postmill.queue_stats()") == [False, False]


def test_set_vt_does_not_work_on_a_pgmq_of_today(db: Database, client: Client) -> None:
    """pgmq-js gives the parameters no types, and pgmq has several functions of that name."""
    client("queue.create", "theirs")
    client("msg.send", "theirs", {"n": 1})
    with pytest.raises(Refused, match=r"set_vt\(.*\) is not unique"):
        client("msg.setVt", "theirs", 1, 60)
    assert client("queue.getMetrics", "theirs")["queueLength"] == 1
    assert column(db, "select msg_id from pgmq.set_vt('theirs', 1::bigint, 60)") == [1]
    assert client("msg.read", "theirs") is None


@beside_each_facade
async def test_a_worker_and_they_share_a_queue_both_ways(database_url: str, client: Client) -> None:
    """Each message goes one way, whoever sent it."""
    client("queue.create", "shared")
    ours: list[int] = []
    they_have_read = asyncio.Event()

    @worker(queue="shared", max_concurrent=1)
    async def handle(payload: dict[str, int], ctx: Context) -> None:
        await they_have_read.wait()
        ours.append(payload["n"])

    async with running(database_url, handle) as run:
        client("msg.sendBatch", "shared", [{"n": number} for number in range(10)])
        for number in range(10, 20):
            await AsyncClient(run.db).send("shared", {"n": number})
        await run.until(Event.MESSAGE_CLAIMED)
        read = client("msg.readBatch", "shared", 600, 7)
        they_have_read.set()
        assert sorted(client("msg.archiveBatch", "shared", [each["msgId"] for each in read])) == [
            each["msgId"] for each in read
        ]
        await run.until(Event.MESSAGE_COMPLETED, count=13)
        await run.let_go()
        assert await run.account("shared") == {"queue": 0, "archive": 20, "dead": 0, "claims": 0}
    assert sorted([*ours, *[each["message"]["n"] for each in read]]) == list(range(20))
