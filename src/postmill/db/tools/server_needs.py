"""What Postmill takes for granted of a server, asked of the server itself with two sessions: that rows are
found by their place, that one session sees what another holds, that a locked row is passed by, and that a
writer which had to wait goes on.

Servers that speak PostgreSQL's protocol are not all PostgreSQL, and one that answers otherwise loses messages
or gives them out twice without an error. What a server lacks is a value; the caller refuses it. Leaves
nothing behind: a transaction that was rolled back, and a row that was written as it is.
"""

from __future__ import annotations

import secrets
import time
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import psycopg

from postmill.db.tools.connect import connect
from postmill.model.errors import MigrationFailed
from postmill.model.finding import Finding
from postmill.sql.catalog import statement

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from concurrent.futures import Future

    from postmill.db.tools.connect import Connection
    from postmill.model.config.address import Address

    Probe: TypeAlias = Callable[[Connection, Connection], str | None]
    """What the server did instead; None when it does what is needed."""

SKIPPING = "2s"
"""How long the probe of SKIP LOCKED may wait, as a setting. A server that skips never waits, however busy it
is; with two seconds one that does not is known soon.
"""
BOUND = "20s"
"""The longest statement and the longest other wait of a probe, as a setting. Each takes one round trip: only
a server that hangs needs so long.
"""
SEEN_WAITING_S = 5.0
"""How long a session is awaited that should wait for a lock, in seconds. It waits after one round trip; where
it never does, the write has gone through, and that is asked next.
"""
ANSWER_S = 20.0
"""How long the second session has for its first answer, in seconds. It takes one round trip: only one that
waits for the first does not answer in that time, however busy the server is.
"""
LOOK_S = 0.01
"""Seconds between two looks whether a session waits: about as long as its statement is under way."""
REFUSED = "This server can't carry Postmill."
HINT = "Use a PostgreSQL server: postmill docs compatibility names those that were tried."


@dataclass(frozen=True, slots=True)
class Need:
    """One thing that a server must do."""

    name: str
    reason: str
    """What of Postmill rests on it."""
    probe: Probe


@dataclass(frozen=True, slots=True)
class Lack:
    """A need that a server does not meet."""

    need: Need
    seen: str
    """What it did instead, or said."""

    def __str__(self) -> str:
        return f"{self.need.name}: {self.seen}; {self.need.reason}"


def lacks(connection: Connection, address: Address, *, rows: bool) -> list[Lack]:
    """What the server lacks. ``rows``: also what can only be asked of a row that is there, of schema
    ``postmill``, where the role may lock it. Opens a second session for the time.

    Raises :class:`DatabaseUnavailable` when there can be none.
    """
    needs = (*OF_SESSIONS, *OF_ROWS) if rows and _has_row(connection) else OF_SESSIONS
    with connect(address, application_name="postmill probe") as other:
        seen = _seen(AT_ONCE.probe, connection, other)
        if seen is not None:
            return [Lack(AT_ONCE, seen)]
        asked = [(need, _seen(need.probe, connection, other)) for need in needs]
    return [Lack(need, seen) for need, seen in asked if seen is not None]


def check(connection: Connection, address: Address, *, rows: bool) -> None:
    """Refuse a server that lacks something: raises :class:`MigrationFailed`, which names all of it."""
    found = lacks(connection, address, rows=rows)
    if found:
        raise MigrationFailed(REFUSED, why=f"{'. '.join(map(str, found))}.", hint=HINT)


def checked(connection: Connection, address: Address) -> Finding:
    """The check of ``postmill doctor``."""
    found = lacks(connection, address, rows=True)
    if found:
        return Finding("server", "fail", "; ".join(map(str, found)), HINT)
    needs = (*OF_SESSIONS, *OF_ROWS) if _has_row(connection) else OF_SESSIONS
    return Finding("server", "pass", f"does what is needed: {', '.join(need.name for need in needs)}")


def _has_row(connection: Connection) -> bool:
    return bool(_row(connection, "need_own_row")["is_there"])


def _seen(probe: Probe, one: Connection, other: Connection) -> str | None:
    """An error of the server is an answer, as long as both sessions live."""
    try:
        return probe(one, other)
    except psycopg.Error as error:
        if one.closed or other.closed:
            raise
        return f"the server says: {error.diag.message_primary or str(error).partition(chr(10))[0]}"


@contextmanager
def _within(session: Connection, lock_timeout: str = BOUND) -> Iterator[None]:
    """A bounded transaction that is rolled back."""
    with session.transaction(force_rollback=True):
        session.execute(statement("need_begin"))
        _row(session, "need_bounds", lock_timeout, BOUND)
        yield


def _answers_at_once(one: Connection, other: Connection) -> str | None:
    """The second is asked while the first has a transaction, and answers at the latest when that is over."""
    with ThreadPoolExecutor(1) as thread:
        with _within(one):
            second = thread.submit(_row, other, "check_clock")
            is_answered = bool(wait([second], ANSWER_S).done)
        second.result()
    return (
        None if is_answered else f"a second one got no answer for {ANSWER_S:g} s while the first was at work"
    )


def _by_place(one: Connection, _: Connection) -> str | None:
    with _within(one):
        found = _row(one, "need_place")["found"]
    return None if found == 1 else f"{found} rows have the place of one"


def _locks_are_seen(one: Connection, other: Connection) -> str | None:
    key = secrets.randbits(62)
    with _within(one):
        mine = _row(one, "need_hold", key)
        with _within(other):
            seen = _row(other, "need_held", mine["pid"], key)
    unseen = [
        what
        for what, is_seen in (("a table's lock", seen["relation"]), ("an advisory lock", seen["advisory"]))
        if not is_seen
    ]
    return f"another session does not see {' and '.join(unseen)}" if unseen else None


def _transactions_are_told(one: Connection, other: Connection) -> str | None:
    with _within(one):
        number = _row(one, "need_transaction")["id"]
        with _within(other):
            is_over = _row(other, "need_visible", number)["visible"]
    if is_over:
        return "one that is under way counts as over"
    with _within(other):
        is_over = _row(other, "need_visible", number)["visible"]
    return None if is_over else "one that is over counts as under way"


def _locked_is_passed_by(one: Connection, other: Connection) -> str | None:
    with _within(one):
        _row(one, "need_lock_row")
        with _within(other, SKIPPING):
            taken = other.execute(statement("need_lock_row", "skipping")).fetchone()
    return None if taken is None else "a row that another session has locked was given out"


def _writer_goes_on(one: Connection, other: Connection) -> str | None:
    """Two sessions write the same row; the first commits while the second waits."""
    with ThreadPoolExecutor(1) as thread, _within(other):
        pid = _row(other, "need_hold", secrets.randbits(62))["pid"]
        with one.transaction():
            one.execute(statement("need_begin"))
            _row(one, "need_bounds", BOUND, BOUND)
            one.execute(statement("need_write_row"))
            second = thread.submit(lambda: other.execute(statement("need_write_row")).rowcount)
            _until_it_waits(one, pid, second)
        written = second.result()
    return None if written == 1 else "a writer that had to wait no longer finds its row"


def _until_it_waits(session: Connection, pid: int, second: Future[int]) -> None:
    until = time.monotonic() + SEEN_WAITING_S
    while not second.done() and not _row(session, "need_waits", pid)["waits"]:
        if time.monotonic() > until:
            return
        time.sleep(LOOK_S)


def _row(session: Connection, name: str, *arguments: object) -> dict[str, Any]:
    return session.execute(statement(name), arguments).fetchone() or {}


AT_ONCE = Need(
    "two sessions at once",
    "a lease is renewed while a handler has a transaction: a pool needs two sessions at least",
    _answers_at_once,
)
"""What the other probes need themselves: without it they would wait for ever."""
OF_SESSIONS = (
    Need("rows by ctid", "messages are claimed and ended by it", _by_place),
    Need(
        "locks in pg_locks",
        "they tell living workers from dead ones, and messages that are still being sent",
        _locks_are_seen,
    ),
    Need(
        "transactions in snapshots",
        "a client that follows a flow's run reads on from there",
        _transactions_are_told,
    ),
)
"""What two sessions show, whatever the database holds."""
OF_ROWS = (
    Need("SKIP LOCKED", "workers that claim at once would wait for each other", _locked_is_passed_by),
    Need("read committed", "settlements and renewals wait for each other and go on", _writer_goes_on),
)
"""What needs a row that both can lock."""
