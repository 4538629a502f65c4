"""The SQL of groups and limits does what a model in plain Python says, whatever happens in whatever order."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from datetime import timedelta
from operator import methodcaller as happens
from typing import TYPE_CHECKING

import psycopg
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from postmill.model.queue.outcome import CANCELLED, COMPLETED, PARKED, RELEASED, Failed
from tests.faults.gate_model import GateModel, Limit, Where
from tests.faults.gate_race import QUEUE, Judge, Racer, sweep
from tests.faults.protocol import Change, Protocol
from tests.properties import FIRST_FAILURE
from tests.sql.asking import column, rows, value

if TYPE_CHECKING:
    from collections.abc import Callable

    from postmill.model.queue.message import Message
    from postmill.model.queue.outcome import Outcome
    from tests.faults.protocol import Database

KEYS = st.sampled_from(["", "a", "b", "c"])
MAXIMA = st.sampled_from([None, None, 1, 2, 4])
WHICH = st.integers(0, 63)
ERROR = Failed("error", "ValueError", "no", None, retry_after_s=0.0)
GONE = (COMPLETED, CANCELLED, replace(ERROR, retry_after_s=None, reason="hopeless"))
BACK = (RELEASED, ERROR)
PERIOD = timedelta(days=1)
"""Of every rate: no start gets old while a test runs, unless it says so."""
PLACES = f"""
select q.msg_id, case when gate.claim_id is null and q.vt = postmill._parked_until() then 'waiting'
                      when held.msg_id is not null then 'running' else 'plain' end as place
  from pgmq.q_{QUEUE} as q
  left join postmill.gates as gate on gate.queue_name = '{QUEUE}' and gate.msg_id = q.msg_id
  left join postmill._claimed('{QUEUE}') as held on held.msg_id = q.msg_id and held.read_ct = q.read_ct
"""
DUE = f"select msg_id from pgmq.q_{QUEUE} where msg_id = any ($1) and vt <= clock_timestamp()"
PAYLOADS = "array_fill('1'::jsonb, array[$2::integer])"


class GateMachine(RuleBasedStateMachine):
    """Two workers, one after the other; other clients; and people who change limits."""

    db: Database
    changes: tuple[Change, ...] = ()

    @initialize()
    def start(self) -> None:
        self.db.execute(b"select postmill.create_queue($1)", [QUEUE])
        self.model = GateModel()
        self.protocol = Protocol(self.db, QUEUE, *self.changes)
        self.racers = [self._racer() for _ in range(2)]
        self.holding: list[list[Message]] = [[], []]

    @rule(key=KEYS, many=st.integers(1, 6))
    def send(self, key: str, many: int) -> None:
        sending = f"select postmill.send_batch($1, {PAYLOADS}, group_keys => array_fill($3::text, array[$2]))"
        self.model.sent(column(self.db, sending, QUEUE, many, key or None), key, by_us=True)

    @rule(key=KEYS, many=st.integers(1, 4))
    def another_client_sends(self, key: str, many: int) -> None:
        header = f"jsonb_build_object('{'postmill-group' if key else 'x'}', $3::text)"
        sending = f"select * from pgmq.send_batch($1, {PAYLOADS}, array_fill({header}, array[$2]))"
        self.model.sent(column(self.db, sending, QUEUE, many, key), key, by_us=False)

    @rule(number=st.integers(0, 1))
    def look_at_the_plain_lanes(self, number: int) -> None:
        racer = self.racers[number]
        messages = racer.take_plain()
        parked, finished = self.model.seen()
        assert {message.msg_id for message in messages} == parked | finished
        for chosen, outcome in ((parked, PARKED), (finished, COMPLETED)):
            some = [message for message in messages if message.msg_id in chosen]
            if some:
                racer.settle(some, outcome)

    @rule(number=st.integers(0, 1), wanted=st.sampled_from([1, 2, 3, 100]))
    def claim(self, number: int, wanted: int) -> None:
        """As many as are wanted, in turns of one claim each, or all that may start."""
        racer = self.racers[number]
        taken: list[Message] = []
        groups, allowed = self.model.startable()
        for _ in range(20):
            taken += racer.take_parked(wanted - len(taken))
            if len(taken) == wanted or racer.complete:
                break
        ids = {message.msg_id for message in taken}
        assert len(ids) == min(wanted, allowed, sum(map(len, groups.values())))
        for may in groups.values():
            first = ids & set(may)
            assert first == set(may[: len(first)])
        assert ids <= {msg_id for may in groups.values() for msg_id in may}
        self.model.start(sorted(ids))
        self.holding[number] += taken

    @rule(number=st.integers(0, 1), which=WHICH, outcome=st.sampled_from([*GONE, *BACK]))
    def settle(self, number: int, which: int, outcome: Outcome) -> None:
        held = self.holding[number]
        some = [message for place, message in enumerate(held) if which >> place % 6 & 1]
        if not some:
            return
        self.holding[number] = [message for message in held if message not in some]
        there = sorted(message.msg_id for message in some if message.msg_id in self.model.rows)
        assert self.racers[number].settle(some, outcome) == there
        self._ended(there, back=outcome in BACK)
        sweep(self.protocol)

    @rule(number=st.integers(0, 1))
    def crash(self, number: int) -> None:
        self.racers[number].crash()
        self.protocol.rescue()
        sweep(self.protocol)
        # Claim by claim: of two that one worker had made, the older one is given back first.
        held = sorted(self.holding[number], key=lambda message: (message.claim.claim_id, message.msg_id))
        there = [message.msg_id for message in held if message.msg_id in self.model.rows]
        due = column(self.db, DUE, there)
        assert not any(self.model.rows[msg_id].counted for msg_id in due)
        self._ended([msg_id for msg_id in there if msg_id not in due], back=True)
        self.model.plain(due)
        self.racers[number], self.holding[number] = self._racer(), []

    @rule(which=WHICH, archive=st.booleans())
    def another_client_takes_one(self, which: int, archive: bool) -> None:
        """Also one that runs: its place is free when the worker has found out."""
        choice = [msg_id for msg_id, row in sorted(self.model.rows.items()) if row.where is not Where.RUNNING]
        if choice:
            msg_id = choice[which % len(choice)]
            function = "archive" if archive else "delete"
            assert value(self.db, f"select pgmq.{function}($1, $2::bigint)", QUEUE, msg_id)
            del self.model.rows[msg_id]

    @rule(which=WHICH)
    def another_client_moves_one(self, which: int) -> None:
        """What waits is due for everybody: workers have to park it again."""
        choice = [msg_id for msg_id, row in sorted(self.model.rows.items()) if row.where is Where.WAITING]
        if choice:
            msg_id = choice[which % len(choice)]
            value(self.db, "select msg_id from pgmq.set_vt($1, $2::bigint, 0)", QUEUE, msg_id)
            self.model.rows[msg_id].where = Where.PLAIN

    @rule(key=st.sampled_from([None, "", "a", "b"]), max_running=MAXIMA, starts=MAXIMA)
    def limit(self, key: str | None, max_running: int | None, starts: int | None) -> None:
        """Of the queue (''), of each group (None) or of one."""
        new = Limit(max_running, starts)
        per = None if starts is None else PERIOD
        if key == "":
            self.db.execute(b"select postmill.limit_queue($1, $2, $3, $4)", [QUEUE, max_running, starts, per])
            self.model.queue = new
        else:
            limiting = b"select postmill.limit_groups($1, $2, $3, $4, $5)"
            self.db.execute(limiting, [QUEUE, max_running, starts, per, key])
            if key is None:
                self.model.each = new
            else:
                self.model.own[key] = new
        # What is remembered of starts under another rate is the matter of test_rate_limits.
        self.let_a_period_pass()

    @rule()
    def let_a_period_pass(self) -> None:
        older = b"update postmill.groups set recent = array(select at - $1 from unnest(recent) as at)"
        self.db.execute(older, [PERIOD])
        self.model.period_passes()

    @invariant()
    def every_message_is_where_the_model_says(self) -> None:
        if not hasattr(self, "model"):
            return
        seen = rows(self.db, PLACES)
        assert {row["msg_id"]: row["place"] for row in seen} == {
            msg_id: row.where.name.lower() for msg_id, row in self.model.rows.items()
        }

    def _racer(self) -> Racer:
        return Racer(self.protocol, self.db, Judge({}))

    def _ended(self, ids: list[int], *, back: bool) -> None:
        for msg_id in ids:
            if back:
                self.model.wait(msg_id)
            else:
                del self.model.rows[msg_id]

    def teardown(self) -> None:
        self.db.execute(b"select postmill.drop_queue($1, force => true)", [QUEUE])


STEPS = settings(
    FIRST_FAILURE,
    max_examples=30,
    stateful_step_count=40,
    derandomize=os.environ.get("CI") == "true",
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large],
)


def machine(database: Database, *mistakes: Change) -> type[GateMachine]:
    """A machine on this database, with mistakes put into the SQL."""

    class Machine(GateMachine):
        db = database
        changes = mistakes

    return Machine


def test_the_sql_does_what_the_model_says(db: Database) -> None:
    run_state_machine_as_test(machine(db), settings=STEPS)


OWN_LIMIT = r"coalesce\(g\.max_running, limits\.group_max_running\)"
OWN_RATE = r"coalesce\(g\.starts, limits\.group_starts\)"
ALL = 63
"""Of what a worker holds, as :data:`WHICH` counts."""


@dataclass(frozen=True)
class Mistake:
    """Something wrong in the SQL, and what has to happen for it to show: calls of the machine's rules."""

    changes: tuple[Change, ...]
    story: tuple[Callable[[GateMachine], object], ...]

    def tell(self, scene: GateMachine) -> None:
        """Let it happen, and look around after each event."""
        scene.start()
        try:
            for happens in self.story:
                happens(scene)
                scene.every_message_is_where_the_model_says()
        finally:
            scene.teardown()


MISTAKES = {
    "what runs does not count for the queue": Mistake(
        (Change("_room_in_queue", r"max_running - runs", "max_running"),),
        (
            happens("limit", "", 1, None),
            happens("send", "a", 2),
            happens("claim", 0, 1),
            happens("claim", 1, 1),
        ),
    ),
    "messages start in the order of their ids": Mistake(
        (Change("_pick_gated", r"order by g\.rank, g\.msg_id", "order by g.msg_id"),),
        (
            *(happens("send", "a", 3), happens("claim", 0, 1)),
            *(happens("settle", 0, ALL, RELEASED), happens("claim", 0, 2)),
        ),
    ),
    "starts of the queue are not written down": Mistake(
        (Change("_start_gated", r"if limits\.starts is not null", "if false"),),
        (
            happens("limit", "", None, 1),
            happens("send", "a", 2),
            happens("claim", 0, 1),
            happens("claim", 0, 1),
        ),
    ),
    "a group takes its share, whatever is free": Mistake(
        (Change("_pick_gated", r"limit least\(place\.free, quantum\)", "limit quantum"),),
        (happens("limit", None, 2, None), happens("send", "a", 3), happens("claim", 0, 100)),
    ),
    "the limit of one group is not seen": Mistake(
        (
            Change("_pick_gated", OWN_LIMIT, "limits.group_max_running"),
            Change("_next_groups", OWN_LIMIT, "limits.group_max_running"),
        ),
        (happens("limit", "a", 1, None), happens("send", "a", 2), happens("claim", 0, 100)),
    ),
    "the rate of one group is not seen": Mistake(
        (
            Change("_pick_gated", OWN_RATE, "limits.group_starts"),
            Change("_next_groups", OWN_RATE, "limits.group_starts"),
        ),
        (happens("limit", "a", None, 1), happens("send", "a", 2), happens("claim", 0, 100)),
    ),
    "what began while nothing counted has no place": Mistake(
        (Change("_pick_gated", r"perform postmill\._give_places\(limits\.queue_name\)", "null"),),
        (
            happens("send", "a", 2),
            happens("claim", 0, 1),
            happens("limit", "a", 1, None),
            happens("claim", 1, 1),
        ),
    ),
    "a retry keeps its place": Mistake(
        (Change("reschedule", r"claim_id = null", "claim_id = gate.claim_id"),),
        (
            *(happens("limit", "a", 1, None), happens("send", "a", 1)),
            *(happens("claim", 0, 1), happens("settle", 0, ALL, ERROR)),
        ),
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_is_found(db: Database, mistake: Mistake) -> None:
    mistake.tell(machine(db)())
    with pytest.raises((AssertionError, psycopg.Error)):
        mistake.tell(machine(db, *mistake.changes)())


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("examples", [100, pytest.param(400, marks=pytest.mark.exhaustive)])
def test_the_sql_does_what_the_model_says_for_long(db: Database, examples: int) -> None:
    run_state_machine_as_test(
        machine(db), settings=settings(STEPS, max_examples=examples, stateful_step_count=80)
    )
