"""The state of a message beside a model in plain Python, for random rows of all tables that matter."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from random import Random
from uuid import uuid4

import pytest

from tests.sql.asking import Database, row, rows
from tests.sql.waiting import PARKED, gate, put

TIMES = {
    "past": "clock_timestamp() - interval '1 hour'",
    "future": "clock_timestamp() + interval '1 hour'",
    "parked": PARKED,
    "endless": "'infinity'",
}
STATES = ("ready", "running", "retrying", "waiting", "scheduled")


@dataclass(frozen=True)
class Sent:
    """One message: its row, and what the other tables say of it."""

    vt: str
    read_ct: int
    gate: str | None
    """``free`` or ``taken``, whether its claim is there or not."""
    is_blocked: bool
    claimed_at: int | None
    """The read_ct of a claim that names it."""

    @property
    def state(self) -> str:
        """The model."""
        if self.vt == "past":
            return "ready"
        if self.claimed_at == self.read_ct:
            return "running"
        if self.gate == "free" or self.is_blocked:
            return "waiting"
        return "retrying" if self.read_ct else "scheduled"


def sent(chance: Random) -> Sent:
    read_ct = chance.randrange(3)
    return Sent(
        vt=chance.choice(list(TIMES)),
        read_ct=read_ct,
        gate=chance.choice([None, "free", "taken"]),
        is_blocked=chance.random() < 0.3,
        claimed_at=chance.choice([None, None, read_ct or None, read_ct + 1]),
    )


def write(db: Database, queue: str, message: Sent) -> int:
    """The message with its rows; its id."""
    msg_id = put(db, queue, TIMES[message.vt], message.read_ct)
    if message.gate is not None:
        gate(db, queue, msg_id)
    if message.gate == "taken":
        db.execute(b"update postmill.gates set claim_id = 7 where msg_id = $1", [msg_id])
    if message.is_blocked:
        db.execute(b"insert into postmill.blocked values ($1, $2, 1, now())", [queue, msg_id])
    if message.claimed_at is not None:
        db.execute(
            b"insert into postmill.claims (worker_id, queue_name, msg_ids, read_cts) values ($1, $2, $3, $4)",
            [uuid4(), queue, [msg_id], [message.claimed_at]],
        )
    return msg_id


@pytest.mark.parametrize("seed", range(12))
def test_messages_lists_and_counts_agree_with_the_model(db: Database, queue: str, seed: int) -> None:
    chance = Random(seed)
    messages = [sent(chance) for _ in range(chance.choice([1, 5, 60]))]
    model = {write(db, queue, message): message.state for message in messages}
    for stale in range(1000, 1003):  # of messages that another client has deleted
        gate(db, queue, stale)

    shown = rows(db, "select msg_id, state, waits_for from postmill.messages($1)", queue)
    assert {each["msg_id"]: each["state"] for each in shown} == model
    assert all((each["waits_for"] is None) == (each["state"] == "running") for each in shown)

    for state in STATES:
        listed = rows(db, "select msg_id from postmill.messages($1, $2)", queue, state)
        expected = [msg_id for msg_id, of in model.items() if of == state]
        assert [each["msg_id"] for each in listed] == sorted(expected, reverse=True), state

    counts = Counter(model.values())
    columns = ", ".join(STATES)
    for exactly in (False, True):
        stats = row(db, f"select {columns}, total, exact from postmill.queue_stats($1, $2)", queue, exactly)
        assert stats == {state: counts[state] for state in STATES} | {"total": len(model), "exact": True}


def test_pages_of_waiting_messages_go_on_where_the_last_one_ended(db: Database, queue: str) -> None:
    ids = [write(db, queue, Sent("parked", 0, "free", is_blocked=False, claimed_at=None)) for _ in range(7)]
    page = "select msg_id from postmill.messages($1, 'waiting', max_rows => 3, before_id => $2)"
    found: list[int] = []
    while more := rows(db, page, queue, found[-1] if found else None):
        found += [each["msg_id"] for each in more]
    assert found == ids[::-1]
