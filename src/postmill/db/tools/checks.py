"""The checks of ``postmill doctor`` on an open connection. Each returns what it found and how to fix it.

Changes nothing that lasts: a session setting and one notification on a channel of its own.
"""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeAlias
from uuid import uuid4

import psycopg

from postmill.client.psycopg_connection import with_known_pooler
from postmill.db.tools import calls, migrate, pgmq, privileges, runs, schedules, search_indexes, server_needs
from postmill.db.tools.connect import connect
from postmill.db.tools.queue_checks import Look, named
from postmill.db.tools.waiting_checks import dependents, groups
from postmill.model.errors import PostmillError
from postmill.model.finding import Finding
from postmill.sql.catalog import statement

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from postmill.db.tools.connect import Connection
    from postmill.model.config.address import Address

    Check: TypeAlias = Callable[[Connection, Address], Finding]

MAX_SKEW_S = 5.0
"""How far this machine's clock and the server's may differ, in seconds. 5 s: clocks that are set over the
network differ by less than one, and with more the times in two logs can no longer be compared.
"""
LISTEN_TIMEOUT_S = 3.0
"""How long a notification may take to arrive, in seconds. It takes one round trip; 3 s leave room for a slow
network, and the user waits for the result.
"""
LONG_TRANSACTION_S = 300.0
"""Age of a transaction from which doctor warns of it, in seconds. 5 minutes: a handler's or a report's
transaction is over by then, and one that was forgotten is not.
"""
MOST_DEAD = 1_000
"""Of a queue so many dead letters are counted (``check_dead_letters``): doctor says "or more" then."""
LAGGING_SLOT_XIDS = 1_000_000
"""Age of a replication slot, in transactions, from which doctor warns of it. Every slot holds back vacuum a
little; a million transactions are minutes of a busy server or a day of a quiet one.
"""


def run(connection: Connection, address: Address) -> Iterator[Finding]:
    """Every check in order; without Postmill's schema, those that read it are left out."""
    found = [tried(name, check, connection, address) for name, check in CHECKS.items()]
    yield from found
    if not any(finding.check == "schema" and finding.status == "fail" for finding in found):
        yield from (tried(name, check, connection, address) for name, check in of_schema().items())


def tried(name: str, check: Check, connection: Connection, address: Address) -> Finding:
    """A check that breaks is a failed finding, and the others still run. What the user may not see is left
    out: a role that only sends need not.
    """
    try:
        return check(connection, address)
    except psycopg.errors.InsufficientPrivilege as error:
        user, what = connection.info.user, error.diag.message_primary
        return Finding(
            name, "warn", f"{user} may not look: {what}", f'As the owner: grant postmill_reader to "{user}"'
        )
    except (psycopg.Error, PostmillError) as error:
        what = str(error).partition("\n")[0]
        return Finding(name, "fail", what, "Fix what the database says here, then run doctor again.")


def version(connection: Connection, _: Address) -> Finding:
    """The server's version: 15 or later."""
    number = connection.info.server_version
    found = f"PostgreSQL {number // 10000}.{number % 10000}"
    if migrate.is_too_old(connection):
        fix = f"Upgrade to PostgreSQL {migrate.OLDEST_SERVER} or later."
        return Finding("version", "fail", found, fix)
    return Finding("version", "pass", found)


def schema(connection: Connection, _: Address) -> Finding:
    """Postmill's schema and pgmq, in a version that this code works with."""
    try:
        migrate.check_version(connection)
    except PostmillError as error:
        return Finding("schema", "fail", f"{error.what} {error.why}".strip(), error.hint)
    return Finding("schema", "pass", "installed, of this version")


def queue_tables(connection: Connection, _: Address) -> Finding:
    """Whether pgmq is installed, by Postmill or otherwise."""
    if not pgmq.is_present(connection):
        return Finding("pgmq", "fail", "not installed", "postmill migrate")
    return Finding("pgmq", "pass", "installed")


def listen(connection: Connection, address: Address) -> Finding:
    """A notification sent on one connection arrives on another."""
    if with_known_pooler(connection, address).listen_url is None:
        fix = "Set listen_url (POSTMILL_LISTEN_URL) to a direct address; until then workers poll."
        return Finding("listen", "warn", "not possible through this pooler", fix)
    channel = f"postmill_doctor_{uuid4().hex}"
    started = time.monotonic()
    with connect(_listening(address), application_name="postmill doctor") as listener:
        listener.execute(f"listen {channel}")
        _rows(connection, "check_notify", channel, "ping")
        arrived = any(listener.notifies(timeout=LISTEN_TIMEOUT_S, stop_after=1))
    if not arrived:
        fix = "Probably a transaction pooler: set listen_url to a direct address, or set poller to poll."
        return Finding("listen", "warn", f"no notification within {LISTEN_TIMEOUT_S:g} s", fix)
    return Finding(
        "listen", "pass", f"round trip in {(time.monotonic() - started) * 1000:.0f} ms, connecting included"
    )


def pooler(connection: Connection, address: Address) -> Finding:
    """Whether a pooler stands before the server, and whether the address agrees."""
    if address.pooled:
        return Finding(
            "pooler", "pass", "transaction mode, by the address: no prepared statements, no LISTEN"
        )
    if with_known_pooler(connection, address).pooled:
        return Finding("pooler", "pass", "there is one, taken for transaction mode: no LISTEN on it")
    if address.stated and not _keeps_sessions(connection):
        fix = "Take pgbouncer=false out of the address's parameters."
        return Finding("pooler", "fail", "in transaction mode, and the address says there is none", fix)
    return Finding("pooler", "pass", "none, or one that keeps sessions")


def _keeps_sessions(connection: Connection) -> bool:
    mark = uuid4().hex
    _rows(connection, "check_session_mark", mark)
    seen = [_rows(connection, "check_session")[0] for _ in range(5)]
    return len({row["pid"] for row in seen}) == 1 and all(row["mark"] == mark for row in seen)


def clock(connection: Connection, _: Address) -> Finding:
    """This machine's clock agrees with the server's, give or take the round trip."""
    before = time.time()
    server = float(_rows(connection, "check_clock")[0]["server_s"])
    after = time.time()
    skew = max(before - server, server - after, 0.0)
    if skew > MAX_SKEW_S:
        fix = "Set both clocks by NTP. Postmill goes by the server's; log lines of this machine are off."
        return Finding("clock", "warn", f"{skew:.1f} s apart", fix)
    return Finding("clock", "pass", f"{skew * 1000:.0f} ms apart")


def round_trip(connection: Connection, _: Address) -> Finding:
    """How far the database is: the shortest of several round trips, and how many connections a worker needs
    at that distance.
    """
    trips = []
    for _number in range(TRIPS):
        began = time.monotonic()
        _rows(connection, "check_clock")
        trips.append(time.monotonic() - began)
    trip_s = min(trips)
    found = f"{trip_s * 1000:.1f} ms"
    if trip_s < FAR_S:
        return Finding("round trip", "pass", found)
    each = 1 / (TRIPS_OF_A_TRANSACTION * trip_s)
    fix = (
        f"A handler's connection does at most {each:.1f} ctx.transaction() a second at this distance. With"
        f" max_pg_connections=4 a worker has one: set {round(OTHER_CONNECTIONS + WANTED_RATE / each)} for"
        f" {WANTED_RATE} a second, or run workers nearer to the database."
    )
    return Finding("round trip", "warn", found, fix)


def dead_letters(connection: Connection, _: Address) -> Finding:
    """Messages that will not run again until an operator replays them."""
    rows = _rows(connection, "check_dead_letters")
    if rows:
        found = named([f"{_at_most(row['dead'])} in {row['queue']}" for row in rows])
        return Finding("dead letters", "warn", found, "postmill dead list, then postmill dead replay")
    return Finding("dead letters", "pass", "none")


def _at_most(dead: int) -> str:
    return f"{MOST_DEAD:,} or more" if dead >= MOST_DEAD else str(dead)


def horizon(connection: Connection, _: Address) -> Finding:
    """What keeps vacuum from cleaning the queues' tables."""
    rows = _rows(connection, "check_horizon")
    holding = [row for row in rows if _holds_back(row)]
    if holding:
        worst = holding[0]
        seconds, ids = worst["age_s"], worst["age_xids"]
        age = f"{ids:,} transactions" if seconds is None else f"{seconds:,.0f} s"
        found = f"{worst['kind']} {worst['name']} is {age} old"
        return Finding("vacuum", "warn", found, _HORIZON_FIXES[worst["kind"]])
    return Finding("vacuum", "pass", "nothing old holds it back")


def _holds_back(row: dict[str, Any]) -> bool:
    if row["age_s"] is None:
        return int(row["age_xids"]) > LAGGING_SLOT_XIDS
    return float(row["age_s"]) > LONG_TRANSACTION_S


_HORIZON_FIXES = {
    "transaction": "End it: select pg_terminate_backend(pid); and set idle_in_transaction_session_timeout.",
    "prepared transaction": "Decide it: commit prepared 'name' or rollback prepared 'name'.",
    "replication slot": "Let its consumer catch up, or drop it: select pg_drop_replication_slot('name').",
}

TRIPS = 5
"""Round trips that are measured. The shortest of five is hardly ever disturbed."""
FAR_S = 0.005
"""Round trip from which doctor gives advice, in seconds. 5 ms: the database is in another data centre. Within
one, a statement takes about 0.5 ms.
"""
TRIPS_OF_A_TRANSACTION = 4
"""Round trips of one ``ctx.transaction()``: begin, one statement of the handler, the completion, and the
commit with the reset of the session.
"""
OTHER_CONNECTIONS = 3
"""Connections of a worker that no handler gets: the heartbeat's, the claims' and the settlements'. The rest
of ``max_pg_connections`` is for handlers.
"""
WANTED_RATE = 50
"""Transactions a second for which doctor says what to set. An example: users can scale it to their own rate.
"""

CHECKS: dict[str, Check] = {
    "version": version,
    "server": server_needs.checked,
    "pgmq": queue_tables,
    "schema": schema,
    "privileges": privileges.checked,
    "pooler": pooler,
    "listen": listen,
    "clock": clock,
    "round trip": round_trip,
    "vacuum": horizon,
}
"""Every check by its name, in the order they run."""


def of_schema() -> dict[str, Check]:
    """The checks that follow when Postmill's schema is there. Those of queues share one look, so it is of one
    moment: ask anew for the next.
    """
    look = Look()
    return {
        "queues": look.queues,
        "left ready": look.left_ready,
        "ids": look.ids,
        "priorities": look.priorities,
        "groups": groups,
        "dependents": dependents,
        "dead letters": dead_letters,
        "search indexes": search_indexes.checked,
        "schedules": schedules.checked,
        "calls": calls.checked,
        "flows": runs.checked,
    }


def _listening(address: Address) -> Address:
    return replace(address, url=address.listen_url or address.url, source="listen_url")


def _rows(connection: Connection, name: str, *arguments: object) -> list[dict[str, Any]]:
    return connection.execute(statement(name), arguments).fetchall()
