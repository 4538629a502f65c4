"""The SQL beside a plain-Python model: random steps of workers, senders, people and strangers, and after each
everything that can be seen must be the same.

Time is moved, not waited for: what lies ahead comes nearer by a shift of all that the clock is compared with.
"""

from __future__ import annotations

import os
from contextlib import ExitStack
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import initialize, invariant, precondition, rule, run_state_machine_as_test

from postmill.model.queue.outcome import CANCELLED, COMPLETED, RELEASED, Completed, Failed, Outcome, Snooze
from tests.faults.model_worker import PATROLS
from tests.faults.observing import compare, observe
from tests.faults.side_by_side import SideBySide
from tests.properties import FIRST_FAILURE
from tests.servers import session

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.faults.protocol import Database

WORKERS = st.integers(0, 1)
SOME = st.integers(1, 255)
"""Bits: which of the messages that a worker holds."""
WHICH = st.integers(0, 63)
DELAYS_S = st.sampled_from([0, 0, 0, 20, 60, 300])
LIMITS = st.sampled_from([1, 2, 3, 100])
ERROR = Failed("error", "ValueError", "no", None, retry_after_s=0.0)
OUTCOMES: st.SearchStrategy[Outcome] = st.one_of(
    st.sampled_from([COMPLETED, Completed("1"), RELEASED]),
    st.sampled_from([CANCELLED, replace(ERROR, kind="timeout", retry_after_s=None, reason="hopeless")]),
    DELAYS_S.map(Snooze),
    DELAYS_S.map(lambda delay_s: replace(ERROR, retry_after_s=float(delay_s))),
)


class QueueMachine(SideBySide):
    """What may happen, in any order. Few rules with many variants: each example leaves some rules out.

    Preconditions ask only for what the steps alone decide: how many there were, and which transactions are
    open. What a worker holds also depends on the server: of messages that fall due at one moment it gives
    any. Hypothesis gives up when the same steps allow other rules the second time. So a rule that finds
    nothing to do does nothing.
    """

    @initialize(pooled=st.booleans())
    def start(self, pooled: bool) -> None:
        self.pooled = pooled
        for _ in range(2):
            self.workers.append(self.started())
        self.sent(4, 0)

    @rule(how=st.sampled_from(["at once", "one", "two"]), many=st.integers(1, 4), delay_s=DELAYS_S)
    def send(self, how: str, many: int, delay_s: int) -> None:
        if how == "at once":
            self.sent(many, delay_s)
        else:
            self.sent_in_transaction(how, delay_s)

    @precondition(lambda self: self.virtual)
    @rule(which=WHICH, commit=st.sampled_from([True, True, False]))
    def end_transaction(self, which: int, commit: bool) -> None:
        self.ended(sorted(self.virtual)[which % len(self.virtual)], commit=commit)

    @rule(number=WORKERS, limit=LIMITS, rested_s=st.sampled_from([0, 0, 3]))
    def work(self, number: int, limit: int, rested_s: int) -> None:
        """A turn as the engine takes it: look, the lanes behind, the fast lane."""
        self.passed(rested_s)
        for lane in ("look", "due", "late", "patrol", "fast"):
            self.step(number, lane, limit)

    @rule(
        number=WORKERS,
        lane=st.sampled_from(["look", "fast", "due", "late", *PATROLS]),
        limit=LIMITS,
        fitting=st.sampled_from([1, 2, 100]),
        told=st.sampled_from([True, True, True, False]),
    )
    def work_a_bit(self, number: int, lane: str, limit: int, fitting: int, told: bool) -> None:
        """One step of it, with fewer bytes allowed, or with the connection cut while the claim commits."""
        self.step(number, lane, limit, fitting, told=told)

    @rule(number=WORKERS, bits=SOME, outcome=st.one_of(st.none(), OUTCOMES, OUTCOMES), archive=st.booleans())
    def renew_or_settle(self, number: int, bits: int, outcome: Outcome | None, archive: bool) -> None:
        if not any(worker.held for worker in self.workers):
            return
        worker, messages = self.picked(number, bits)
        if outcome is None:
            self.renewed(worker, messages)
        else:
            self.settled(worker, messages, outcome, archive=archive)

    @rule(
        number=WORKERS, what=st.sampled_from(["beat", "rescue", "rescue", "give back", "leave a hint", "die"])
    )
    def keep_house(self, number: int, what: str) -> None:
        {
            "beat": self.heartbeat,
            "rescue": self.rescued,
            "give back": self.given_back,
            "leave a hint": self.hint_left,
            "die": self.died,
        }[what](number)

    @rule(which=WHICH, what=st.sampled_from(["cancel", "cancel", "cancel", "replay", "replay", "pause"]))
    def operate(self, which: int, what: str) -> None:
        if what == "cancel":
            self.cancelled(which)
        elif what == "replay":
            self.replayed(which)
        else:
            self.paused_or_resumed()

    @rule(which=WHICH, delay_s=DELAYS_S, what=st.sampled_from(["read", "move", "move", "archive", "delete"]))
    def meddle(self, which: int, delay_s: int, what: str) -> None:
        """Another client of pgmq's."""
        if not self.model.rows:
            return
        if what == "read":
            self.read(which % 4 + 1)
        elif what == "move":
            self.moved(which, delay_s)
        else:
            self.taken_out(which, archive=what == "archive")

    @precondition(lambda self: self.quiet_steps > 1)
    @rule(seconds=st.sampled_from([3, 10, 70, 400]))
    def let_time_pass(self, seconds: int) -> None:
        self.quiet_steps = 0
        self.passed(seconds)

    @precondition(lambda self: self.quiet_steps > 3)
    @rule(number=WORKERS)
    def deliver_everything(self, number: int) -> None:
        """Without the patrol: whatever has happened, a worker's other lanes find all that is due."""
        self.quiet_steps = 0
        for name in sorted(self.virtual):
            self.ended(name, commit=True)
        if self.model.paused:
            self.paused_or_resumed()
        self.passed(400)
        for lane in ("look", "due", "late", "fast"):
            self.step(number, lane)
        ours = {(message.msg_id, message.read_ct) for message in self.workers[number].held}
        assert {(row.msg_id, row.read_ct) for row in self.model.rows.values()} <= ours

    @precondition(lambda self: self.quiet_steps > 3)
    @rule(number=WORKERS, which=WHICH)
    def starve(self, number: int, which: int) -> None:
        """Moved far into the past, a message that a worker has passed is where none of its lanes looks: two
        rounds of its patrol find it. A message that is still ahead of this worker is taken by the fast lane.
        It is not left where it is: the other worker may have passed it, and then only that worker's patrol
        finds it.
        """
        self.quiet_steps = 0
        if not self.model.rows:
            return
        if self.model.paused:
            self.paused_or_resumed()
        self.passed(400)
        msg_id = self.moved(which, -3600)
        passed = msg_id <= self.workers[number].cursor.position
        for lane in PATROLS * 2 if passed else ("fast",):
            self.step(number, lane)
        held = {(message.msg_id, message.read_ct) for message in self.workers[number].held}
        assert (msg_id, self.model.rows[msg_id].read_ct) in held

    @invariant()
    def everything_is_as_the_model_says(self) -> None:
        if self.workers:
            self.quiet_steps += 1
            seen = observe(self.protocol)
            compare(self.model, seen, self.now)
            self.now = seen["now"]


@pytest.fixture
def connections(database_url: str) -> Iterator[dict[str, Database]]:
    """The test's own connection, two for slow transactions, one that holds the workers' locks."""
    with ExitStack() as stack:
        yield {name: stack.enter_context(session(database_url)) for name in ("db", "one", "two", "locks")}


CI = os.environ.get("CI") == "true"
STEPS = settings(
    FIRST_FAILURE,
    max_examples=80,
    stateful_step_count=40,
    derandomize=CI,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large],
)


def test_the_sql_does_what_the_model_says(connections: dict[str, Database]) -> None:
    class Machine(QueueMachine):
        def __init__(self) -> None:
            super().__init__(connections)

    run_state_machine_as_test(Machine, settings=STEPS)


def test_a_message_far_in_the_past_is_not_left_to_lanes_that_have_passed_it(
    connections: dict[str, Database],
) -> None:
    """Worker 1 passes message 3 before it is due. Moved into the past, worker 0 finds it ahead of itself."""
    machine = QueueMachine(connections)
    machine.start(pooled=False)
    steps: list[Callable[[], object]] = [
        lambda: machine.meddle(which=2, delay_s=300, what="move"),
        lambda: machine.work(number=1, limit=100, rested_s=0),
        lambda: machine.starve(number=0, which=2),
        lambda: machine.deliver_everything(number=1),
    ]
    for step in steps:
        machine.everything_is_as_the_model_says()
        step()
    machine.teardown()
