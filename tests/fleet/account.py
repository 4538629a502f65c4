"""The account of every message of a test: what was said to be sent, what was done, and where it is now.

Three witnesses: the sender's notes, the workers' journal and the database. Messages go by the number in their
payload, for a database that was put back to an older state gives its ids anew.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from tests.fleet.postgres import Reachable

_PLACES = """
select (message->>'id')::bigint as id, 'queued' as place from pgmq.q_tasks
 union all select (message->>'id')::bigint, 'finished' from pgmq.a_tasks
 union all select (message->>'id')::bigint, 'dead' from postmill.dead_letters
"""


@dataclass(frozen=True)
class Account:
    """Compared whole with what a test expects: a number or a set that is not named there must be empty."""

    finished: int = 0
    queued: int = 0
    dead: int = 0
    claims: int = 0
    lost: frozenset[int] = field(default_factory=frozenset)
    """Messages whose commit was acknowledged, and which are nowhere."""
    doubled: frozenset[int] = field(default_factory=frozenset)
    """Messages that are in two places, or twice in one."""
    undone: frozenset[int] = field(default_factory=frozenset)
    """Messages that are finished, and whose handler never came to its end."""
    strangers: frozenset[int] = field(default_factory=frozenset)
    """Messages that nobody says to have sent."""


@dataclass(frozen=True)
class Notes:
    """What senders know: the messages that were sent for sure, and those that may have been."""

    sent: frozenset[int]
    unsure: frozenset[int]

    @classmethod
    def read(cls, path: Path) -> Notes:
        """Read the file of one sender, or of several."""
        lines = [line.split() for line in path.read_text().splitlines()] if path.exists() else []
        sent = frozenset(int(number) for word, number in lines if word == "sent")
        return cls(sent, frozenset(int(number) for _, number in lines) - sent)


@dataclass(frozen=True)
class Call:
    """One line of the workers' journal."""

    number: int
    host: str
    word: str
    time_s: float

    @classmethod
    def read(cls, journal: Path) -> list[Call]:
        """All lines so far."""
        lines = [line.split() for line in journal.read_text().splitlines()] if journal.exists() else []
        return [cls(int(number), host, word, float(time_s)) for number, host, word, time_s in lines]


def account(server: Reachable, notes: Notes, calls: list[Call]) -> Account:
    """What has become of the messages, by the database of ``server``."""
    with server.session() as db:
        rows = db.execute(_PLACES.encode()).fetchall()
        claims = db.execute(b"select count(*) as open from postmill.claims").fetchone()
    assert claims is not None
    places = Counter(row["place"] for row in rows)
    found = Counter(row["id"] for row in rows)
    finished = {row["id"] for row in rows if row["place"] == "finished"}
    return Account(
        **{place: places[place] for place in ("finished", "queued", "dead")},
        claims=claims["open"],
        lost=frozenset(notes.sent - set(found)),
        doubled=frozenset(number for number, times in found.items() if times > 1),
        undone=frozenset(finished - {call.number for call in calls if call.word == "done"}),
        strangers=frozenset(set(found) - notes.sent - notes.unsure),
    )
