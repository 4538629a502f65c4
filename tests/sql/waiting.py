"""Rows that a waiting message has beside the one in its queue, written by hand."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.sql.asking import claim, value

if TYPE_CHECKING:
    from tests.sql.asking import Database

PARKED = "postmill._parked_until()"


def put(db: Database, queue: str, vt: str = "clock_timestamp()", read_ct: int = 0) -> int:
    """A message with any visibility time; its id."""
    sent: int = value(
        db,
        f"insert into pgmq.\"q_{queue.lower()}\" (vt, read_ct, message) values ({vt}, {read_ct}, '1')"
        " returning msg_id",
    )
    return sent


def gate(db: Database, queue: str, msg_id: int, key: str = "acme", rank: str = "clock_timestamp()") -> None:
    """The message waits for a place in a group."""
    columns = "(queue_name, group_key, rank, msg_id)"
    db.execute(
        f"insert into postmill.gates {columns} values (lower($1), $2, {rank}, $3)".encode(),
        [queue, key, msg_id],
    )


def park(db: Database, queue: str, key: str = "acme", rank: str = "clock_timestamp()") -> int:
    """A message that waits for a place in a group; its id."""
    sent = put(db, queue, PARKED)
    gate(db, queue, sent, key, rank)
    return sent


def hold(db: Database, queue: str, key: str = "acme") -> int:
    """A message that runs and has a place in a group; its id."""
    sent = park(db, queue, key)
    claim(db, queue, sent)
    db.execute(
        b"update postmill.gates set claim_id = (select max(claim_id) from postmill.claims)"
        b" where queue_name = lower($1) and msg_id = $2",
        [queue, sent],
    )
    return sent


def block(
    db: Database, queue: str, *sources: tuple[str, int], on_dead: str = "cancel", died: bool = False
) -> int:
    """A message that waits for others; its id."""
    sent = put(db, queue, PARKED)
    db.execute(
        b"insert into postmill.blocked (queue_name, msg_id, waits, due_at)"
        b" values (lower($1), $2, $3, clock_timestamp())",
        [queue, sent, len(sources)],
    )
    wait_for(db, queue, sent, *sources, on_dead=on_dead, died=died)
    return sent


def wait_for(
    db: Database,
    queue: str,
    msg_id: int,
    *sources: tuple[str, int],
    on_dead: str = "cancel",
    died: bool = False,
) -> None:
    """Edges from messages that need not exist: without the trigger that would ask what became of them."""
    db.execute(b"set session_replication_role = replica")
    for source_queue, source_id in sources:
        db.execute(
            b"insert into postmill.edges values ($1, $2, lower($3), $4, $5, $6)",
            [source_queue, source_id, queue, msg_id, on_dead, died],
        )
    db.execute(b"reset session_replication_role")


def live(db: Database, queue: str, slots: int = 10, in_flight: int = 0, version: str = "0") -> None:
    """A worker of the queue that is alive, however long the test takes."""
    db.execute(
        b"insert into postmill.workers"
        b" (queue_name, function_name, hostname, pid, version, max_concurrent, in_flight, last_heartbeat_at)"
        b" values ($1, 'f', 'h', 1, $4, $2, $3, clock_timestamp() + interval '1 hour')",
        [queue, slots, in_flight, version],
    )
