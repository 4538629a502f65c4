"""kombu-pgmq, a transport for Celery, and ours on the same queues."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest
from psycopg.conninfo import conninfo_to_dict

from tests.interop.facades import beside_each_facade
from tests.sql.asking import Database, column, row, value

if TYPE_CHECKING:
    from collections.abc import Iterator

kombu = pytest.importorskip("kombu")
pytest.importorskip("kombu_pgmq")
pytestmark = pytest.mark.usefixtures("with_facades")


@pytest.fixture
def connection(database_url: str) -> Iterator[Any]:
    """A connection through kombu's transport, whose address takes a socket's folder as the host."""
    address = conninfo_to_dict(database_url)
    with kombu.Connection(
        transport="kombu_pgmq.transport:TransportPsycopg",
        hostname=quote(str(address["host"]), safe=""),
        port=int(address.get("port") or 5432),
        userid=address.get("user", ""),
        password=quote(str(address.get("password", "")), safe=""),
        virtual_host=address["dbname"],
        transport_options={"check_extension": False, "pool": False},
    ) as connection:
        yield connection


@beside_each_facade
def test_kombu_on_our_queue(db: Database, connection: Any) -> None:
    db.execute(b"select postmill.create_queue('celery')")
    queue = connection.SimpleQueue("celery")
    queue.put({"task": "add"})

    envelope = row(db, "select state, message from postmill.messages('celery')")
    assert envelope["state"] == "ready"
    assert "body" in envelope["message"]

    received = queue.get(block=False)
    assert received.payload == {"task": "add"}
    received.ack()
    queue.close()
    assert value(db, "select total from postmill.queue_stats('celery')") == 0


@beside_each_facade
def test_our_functions_on_kombus_queue(db: Database, connection: Any) -> None:
    queue = connection.SimpleQueue("their-tasks")
    queue.put({"task": "first"})
    db.execute(
        b"select postmill.send('their-tasks', message) "
        b"from postmill.messages('their-tasks', only_state => 'ready')"
    )
    assert value(db, "select postmill.cancel('their-tasks', 1)") == "cancelled"

    received = queue.get(block=False)
    assert received.payload == {"task": "first"}
    received.ack()
    queue.close()
    assert column(db, "select owned from postmill.queue_stats('their-tasks')") == [False]
