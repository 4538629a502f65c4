"""How long an autoscaler waits for ``postmill.desired_workers`` on a large queue.

``python -m benchmarks.desired_workers [--rows 10000000]``, on an embedded server of its own, or with
``--db-url`` on an empty database of yours. Prints one JSON object: of each scene the answer, and the
shortest, the median, the 95th of a hundred and the longest of 200 calls in milliseconds, the round trip
included:

* ``tomorrow``: every message is due tomorrow, so nothing is to be done;
* ``ready``: every message is due, so the count ends at 10,000;
* ``running``: 10,000 of them run, in claims of 100 each;
* ``deleted``: all are deleted, and no vacuum has been there;
* ``groups``: beside that 100,000 messages wait for places in groups;
* ``cleaned``: a vacuum has been there.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from postmill.db.tools.connect import connect
from postmill.db.tools.migrate import migrate
from postmill.embedded import open_server
from postmill.model.config.address import parse

if TYPE_CHECKING:
    from collections.abc import Iterator

    from postmill.db.tools.connect import Connection

CALLS = 200
"""So many that ten of them are longer than the 95th of a hundred."""
AT_ONCE = 1_000_000
QUESTION = b"select postmill.desired_workers('large', slots => 10) as wanted"
SENT = (
    b"insert into pgmq.q_large (vt, message) select clock_timestamp() + $1::text::interval, '{}'"
    b" from generate_series(1, $2::integer)"
)
CLAIMED = (
    b"insert into postmill.claims (worker_id, queue_name, msg_ids, read_cts)"
    b" select gen_random_uuid(), 'large', array_agg(msg_id), array_agg(read_ct)"
    b" from pgmq.q_large where msg_id <= 10000 group by msg_id % 100"
)
GROUPED = (
    b"insert into postmill.gates (queue_name, group_key, rank, msg_id)"
    b" select 'large', 'group ' || id % 1000, now() + interval '1 day', id"
    b" from generate_series(1, 100000) as id"
)
READY = b"every message anew, and due"
"""Stands for :func:`fill`."""
SCENES: dict[str, list[bytes]] = {
    "tomorrow": [],
    "ready": [b"truncate pgmq.q_large restart identity", READY],
    "running": [
        b"update pgmq.q_large set vt = clock_timestamp() + interval '1 h', read_ct = 1 where msg_id <= 10000",
        CLAIMED,
    ],
    "deleted": [
        b"delete from postmill.claims",
        b"alter table pgmq.q_large set (autovacuum_enabled = false)",
        b"delete from pgmq.q_large",
        b"select pg_stat_force_next_flush()",
    ],
    "groups": [GROUPED, b"analyze postmill.gates"],
    "cleaned": [b"vacuum pgmq.q_large", b"select pg_stat_force_next_flush()"],
}
"""What is done before each of them."""


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.desired_workers")
    parser.add_argument("--rows", type=int, default=10_000_000, help="messages in the queue")
    parser.add_argument("--db-url", help="an empty database, instead of the embedded server")
    options = parser.parse_args()
    with address(options.db_url) as url, connect(parse(url)) as connection:
        migrate(connection)
        connection.execute(b"select postmill.create_queue('large')")
        fill(connection, options.rows, "1 day")
        found = {"rows": options.rows, **{name: scene(connection, name, options.rows) for name in SCENES}}
    print(json.dumps(found, indent=2))
    return 0


@contextmanager
def address(given: str | None) -> Iterator[str]:
    """The database that was given, or a server of our own."""
    if given is not None:
        yield given
        return
    with (
        tempfile.TemporaryDirectory() as folder,
        open_server(Path(folder) / "server", throwaway=True, settings={"max_wal_size": "4GB"}) as server,
    ):
        yield server.url


def fill(connection: Connection, rows: int, due_in: str) -> None:
    """Send them."""
    for done in range(0, rows, AT_ONCE):
        connection.execute(SENT, [due_in, min(AT_ONCE, rows - done)])
        print(f"{min(rows, done + AT_ONCE):,} of {rows:,} messages sent", file=sys.stderr)
    connection.execute(b"vacuum analyze pgmq.q_large")


def scene(connection: Connection, name: str, rows: int) -> dict[str, Any]:
    """Bring it about, and ask."""
    for step in SCENES[name]:
        if step is READY:
            fill(connection, rows, "-1 second")
        else:
            connection.execute(step)
    took, wanted = [], None
    for _ in range(CALLS):
        began = time.perf_counter()
        wanted = connection.execute(QUESTION).fetchone()
        took.append((time.perf_counter() - began) * 1000)
    took.sort()
    print(f"{name}: done", file=sys.stderr)
    return {
        "wanted": (wanted or {})["wanted"],
        "shortest_ms": round(took[0], 2),
        "median_ms": round(took[CALLS // 2], 2),
        "p95_ms": round(took[CALLS * 95 // 100], 2),
        "longest_ms": round(took[-1], 2),
    }


if __name__ == "__main__":
    sys.exit(main())
