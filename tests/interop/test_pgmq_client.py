"""pgmq's own Python client and ours on the same queues."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from pgmq import PGMQueue
from psycopg.conninfo import conninfo_to_dict

from tests.interop.facades import beside_each_facade
from tests.sql.asking import Database, claim, column, row, value

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.usefixtures("with_facades")


@pytest.fixture
def client(database_url: str) -> Iterator[PGMQueue]:
    """pgmq's client, told not to create the extension; it reads a socket's folder only as key=value."""
    address = " ".join(f"{key}={value}" for key, value in conninfo_to_dict(database_url).items())
    client = PGMQueue(conn_string=address, pool_size=1, init_extension=False)
    yield client
    client.close()


@beside_each_facade
def test_their_client_on_our_queue(db: Database, client: PGMQueue) -> None:
    db.execute(b"select postmill.create_queue('ours')")
    postmill_sent = value(
        db, "select postmill.send('ours', '{\"from\": \"postmill\"}', headers => '{\"h\": 1}')"
    )
    their_sent = client.send("ours", {"from": "pgmq"})

    messages = client.read_batch("ours", vt=30, batch_size=10)

    assert messages is not None
    assert [(each.msg_id, each.message["from"]) for each in messages] == [
        (postmill_sent, "postmill"),
        (their_sent, "pgmq"),
    ]
    assert client.archive("ours", postmill_sent)
    assert client.delete("ours", their_sent)
    assert column(db, "select state from postmill.messages('ours')") == ["completed"]


@beside_each_facade
def test_our_functions_on_their_queue(db: Database, client: PGMQueue) -> None:
    client.create_queue("theirs")
    client.send("theirs", {"n": 1})
    client.send("theirs", {"n": 2}, delay=3600)
    db.execute(b"select postmill.send('theirs', '{\"n\": 3}')")

    assert row(db, "select owned, ready, scheduled from postmill.queue_stats()") == {
        "owned": False,
        "ready": 2,
        "scheduled": 1,
    }
    assert value(db, "select postmill.cancel('theirs', 2)") == "cancelled"
    assert client.metrics("theirs").queue_length == 2


def test_a_message_that_they_are_working_on_looks_like_one_that_waits_for_its_retry(
    db: Database, client: PGMQueue
) -> None:
    # They leave no claim. Cancelling it takes it away; their archive then says so.
    db.execute(b"select postmill.create_queue('ours')")
    client.send("ours", {"n": 1})
    client.read("ours", vt=30)
    assert column(db, "select state from postmill.messages('ours')") == ["retrying"]
    assert value(db, "select postmill.cancel('ours', 1)") == "cancelled"
    assert client.archive("ours", 1) is False


def test_they_move_the_visibility_of_a_message_that_runs(db: Database, client: PGMQueue) -> None:
    db.execute(b"select postmill.create_queue('ours')")
    client.send("ours", {"n": 1})
    claim(db, "ours", 1)
    client.set_vt("ours", 1, 0)
    assert column(db, "select state from postmill.messages('ours')") == ["ready"]


@beside_each_facade
def test_they_purge_and_drop_ours(db: Database, client: PGMQueue) -> None:
    db.execute(b"select postmill.create_queue('ours')")
    client.send("ours", {"n": 1})
    claim(db, "ours", 1)
    assert client.purge("ours") == 1
    assert column(db, "select total from postmill.queue_stats()") == [0]
    client.drop_queue("ours")
    assert column(db, "select queue_name from postmill.queue_stats()") == []
    db.execute(b"select postmill.create_queue('ours')")
    assert value(db, "select postmill.send('ours', '1')") == 1
