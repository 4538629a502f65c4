"""Other clients of pgmq's in a race around groups and limits: they send with odd headers of ours, read,
archive, delete, move and purge.
"""

from __future__ import annotations

import random
import time
from typing import TYPE_CHECKING

import orjson
import psycopg

from tests.sql.asking import column, value

if TYPE_CHECKING:
    from tests.faults.gate_race import Race
    from tests.faults.protocol import Database

LONG_KEY = "x" * 1_000_000
"""A megabyte: far longer than an index takes."""
ODD_KEYS: list[object] = [
    None, "", " ", 7, -1.5, True, [], ["g0"], {}, {"g0": "g1"}, "g0", "g1", "G0", "g0 ", "ä",
    "\U0001f33e" * 300, LONG_KEY, "\u0001", "\\u0000", "'; drop table postmill.gates; --", "%s", "{queue}",
]  # fmt: skip
ODD_HEADERS: list[object] = [
    None, [], [1, "postmill-group"], "postmill-group", 7, True, {},
    *({"postmill-group": key} for key in ODD_KEYS),
    {"postmill-group": "g0", "postmill-priority": "urgent"}, {"postmill-priority": [9]},
    {"postmill-priority": -1}, {"postmill-unique-key": {"a": 1}}, {"postmill-unique-key": LONG_KEY},
    {"postmill-after": True}, {"postmill-after": [], "postmill-group": "g0"}, {"postmill-after": False},
]  # fmt: skip
"""Everything that JSON allows, where ours has a meaning."""
SEND = """
select * from pgmq.send_batch($1, array_fill('1'::jsonb, array[cardinality($2::text[])]), $2::text[]::jsonb[])
"""
PARKED_ROW = """
select msg_id from pgmq.q_{queue} where vt = postmill._parked_until()
order by random() limit 1 for update skip locked
"""
ROW = "select msg_id from pgmq.q_{queue} order by random() limit 1"


def odd_sender(race: Race) -> None:
    """Send messages with every kind of header, in batches of one to five."""
    db = race.connect()
    while race.goes_on:
        headers = [
            orjson.dumps(header).decode() for header in random.choices(ODD_HEADERS, k=random.randint(1, 5))
        ]
        race.sent += column(db, SEND, race.protocol.queue, headers)
        time.sleep(random.random() * 0.02)


def reader(race: Race) -> None:
    """Read as another worker does, and archive, delete or move what was read."""
    db, queue = race.connect(), race.protocol.queue
    while race.goes_on:
        for msg_id in column(db, "select msg_id from pgmq.read($1, 0, 3)", queue):
            end = random.choice(["archive", "delete", "leave"])
            if end == "archive":
                value(db, "select pgmq.archive($1, $2::bigint)", queue, msg_id)
            elif end == "delete" and value(db, "select pgmq.delete($1, $2::bigint)", queue, msg_id):
                race.deleted.append(msg_id)
        time.sleep(random.random() * 0.01)


def taker(race: Race) -> None:
    """Archive and delete whatever is there by its id, also what waits or runs."""
    db, queue = race.connect(), race.protocol.queue
    while race.goes_on:
        for msg_id in column(db, ROW.format(queue=queue)):
            if random.random() < 0.5:
                value(db, "select pgmq.archive($1, $2::bigint)", queue, msg_id)
            elif value(db, "select pgmq.delete($1, $2::bigint)", queue, msg_id):
                race.deleted.append(msg_id)
        time.sleep(random.random() * 0.02)


def mover(race: Race) -> None:
    """Move what waits at a gate, to now, the past or the future. What runs is left alone: with its lease
    ended, it would rightly run twice.
    """
    db, queue = race.connect(), race.protocol.queue
    parked = PARKED_ROW.format(queue=queue)
    while race.goes_on:
        with db.transaction():
            for msg_id in column(db, parked):
                _move(db, queue, msg_id)
        time.sleep(random.random() * 0.01)


def _move(db: Database, queue: str, msg_id: int) -> None:
    delay_s = random.choice([0, 0, 1, -3600])
    value(db, "select msg_id from pgmq.set_vt($1, $2::bigint, $3::integer)", queue, msg_id, delay_s)


def purger(race: Race) -> None:
    """Empty the whole table now and then, with what waits and what runs."""
    db = race.connect()
    db.execute(b"set lock_timeout = '1 s'")
    while race.goes_on:
        time.sleep(0.3)
        try:
            value(db, "select pgmq.purge_queue($1)", race.protocol.queue)
        except psycopg.errors.LockNotAvailable:
            continue
