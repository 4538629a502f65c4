"""What the rules of the model test are made of: each takes a step on the real queue and in the model, and
compares the answers.
"""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING, Any

from hypothesis.stateful import RuleBasedStateMachine

from postmill.engine.settle.statements import delay_s
from postmill.model.queue.outcome import CANCELLED, LOST, Completed, Failed
from postmill.sql.catalog import queue_statement, statement
from tests.faults.model_worker import LEASE_S, ModelWorker, microseconds, tokens
from tests.faults.protocol import Protocol
from tests.faults.reference_model import Failure, HeldClaim, Model, Worker

if TYPE_CHECKING:
    from collections.abc import Iterable

    from postmill.engine.settle.settlement import Pair
    from postmill.model.queue.message import Message
    from postmill.model.queue.outcome import Outcome
    from tests.faults.protocol import Change, Database

LEASE_US = LEASE_S * 1_000_000
MARGIN_US = 2_000_000
"""Far more than a statement takes, less than a worker may be silent."""
_SERIAL = count(1)


class SideBySide(RuleBasedStateMachine):
    """A queue and its model, some workers, and two transactions that take their time.

    ``connections``: ``db`` for everything, ``one`` and ``two`` for the transactions, ``locks`` that holds the
    workers' session locks.
    """

    def __init__(self, connections: dict[str, Database], *changes: Change) -> None:
        super().__init__()
        self.connections = connections
        self.db = connections["db"]
        self.queue = f"model-{next(_SERIAL)}"
        self.db.execute(b"select postmill.create_queue($1)", [self.queue])
        self.protocol = Protocol(self.db, self.queue, *changes)
        self.model = Model()
        self.now = self.clock()
        self.pooled = False
        self.workers: list[ModelWorker] = []
        self.virtual: dict[str, str] = {}
        """By open transaction of ours: what the server calls it."""
        self.size = 0
        self.quiet_steps = 0
        """Since time passed: so that it does not pass more often than anything else happens."""

    def teardown(self) -> None:
        """Leave nothing behind for the next example."""
        for name in self.virtual:
            self.connections[name].execute(b"rollback")
        self.connections["locks"].execute(b"select pg_advisory_unlock_all()")
        self.db.execute(b"select postmill.drop_queue($1, force => true)", [self.queue])
        self.db.execute(b"delete from postmill.workers where queue_name = $1", [self.queue])

    # senders

    def sent(self, many: int, delay_s: int) -> None:
        sent = [self.model.send(self.now, delay_s * 1_000_000) for _ in range(many)]
        answer = self.ask(
            "select postmill.send_batch($1, array_fill('{}'::jsonb, array[$2::integer]), "
            "delay => $3::integer * interval '1 second') as id",
            self.queue,
            many,
            delay_s,
        )
        assert [row["id"] for row in answer] == sent

    def sent_in_transaction(self, name: str, delay_s: int) -> None:
        db = self.connections[name]
        if name not in self.virtual:
            db.execute(b"begin")
        msg_id = self.model.send(self.now, delay_s * 1_000_000, name)
        (sent,) = self.ask(
            "select postmill.send($1, '{}', delay => $2::integer * interval '1 second') as id",
            self.queue,
            delay_s,
            db=db,
        )
        assert sent["id"] == msg_id
        (row,) = self.ask(
            "select (extract(epoch from vt) * 1000000)::bigint as vt, virtualtransaction as writer "
            f"from {self.protocol.shape.queue} cross join pg_locks "
            "where msg_id = $1 and pid = pg_backend_pid() limit 1",
            msg_id,
            db=db,
        )
        unseen = self.model.unseen[name][msg_id]
        assert 0 <= row["vt"] - unseen.vt <= self.clock() - self.now
        unseen.vt = row["vt"]
        self.model.unsure.discard(msg_id)
        self.virtual[name] = row["writer"]

    def ended(self, name: str, *, commit: bool) -> None:
        self.connections[name].execute(b"commit" if commit else b"rollback")
        self.model.end(name, commit=commit)
        del self.virtual[name]

    # workers

    def started(self) -> ModelWorker:
        worker = ModelWorker(self.protocol, next(_SERIAL), pooled=self.pooled)
        if not self.pooled:
            self.connections["locks"].execute(b"select pg_advisory_lock($1)", [worker.lock_key])
        locked = None if self.pooled else True
        self.model.workers[str(worker.id)] = Worker(self.now, locked, worker.lease_s * 1_000_000)
        return worker

    def died(self, number: int) -> None:
        """A process that was well ends: memory and lock are gone; another one starts from its hint."""
        gone = self.workers[number]
        self.heartbeat(number)
        self.hint_left(number)
        self.connections["locks"].execute(b"select pg_advisory_unlock($1)", [gone.lock_key])
        known = self.model.workers[str(gone.id)]
        known.locked = None if known.locked is None else False
        self.workers[number] = self.started()

    def step(
        self, number: int, lane: str, limit: int = 100, fitting: int = 100, *, told: bool = True
    ) -> None:
        """A look or a claim."""
        worker = self.workers[number]
        if lane == "look":
            self._looked(worker)
        elif (edges := worker.edges(lane)) is not None:
            self._claimed(worker, lane, edges, limit, fitting, told=told)

    def _looked(self, worker: ModelWorker) -> None:
        edge, position = microseconds(worker.cursor.due_after), worker.cursor.position
        late = worker.cursor.late_range or (0, 0)
        row = worker.look()
        now = microseconds(row["now"])
        assert (row["ahead_age_s"] is not None) == bool(self.model.due("fast", position, None, now))
        assert row["behind"] == bool(self.model.due("due", edge, position, now))
        assert row["late"] == bool(self.model.due("late", *late, now))
        assert row["sequence"] == self.model.sequence
        assert set(row["writers"] or ()) == set(self.virtual.values())
        assert bool(row["paused"]) == self.model.paused
        ahead = [each.vt - self.now for each in self.model.rows.values() if each.vt > edge]
        assert (row["due_in_s"] is None) == (not ahead)
        if ahead:
            late_s = min(ahead) / 1e6 - row["due_in_s"]
            assert -1e-5 <= late_s <= (self.clock() - self.now) / 1e6 + 1e-5

    def _claimed(
        self,
        worker: ModelWorker,
        lane: str,
        edges: tuple[Any, int | None],
        limit: int,
        fitting: int,
        *,
        told: bool,
    ) -> None:
        row = worker.ask(lane, edges, limit, fitting * self._stored_bytes(), told=told)
        now = microseconds(row["now"])
        above = microseconds(edges[0]) if lane == "due" else edges[0]
        ids = row["msg_ids"] or []
        found = self.model.candidates(lane, above, edges[1], now)
        if lane == "due":  # what falls due at the same moment comes in any order
            found.sort(key=lambda each: (each.vt, each.msg_id not in ids))
        alive = (
            any(above < msg_id <= (edges[1] or 0) for msg_id in self.model.rows) if lane != "due" else False
        )
        taken = self.model.claim(found, limit, fitting, now + LEASE_US)
        assert self.now <= now
        assert sorted(ids) == sorted(taken)
        assert row["complete"] == (not self.model.paused and len(taken) == len(found) and len(taken) < limit)
        assert row.get("alive", alive) == alive
        if taken:
            assert row["vt_us"] == now + LEASE_US
            self._check_arrays(row)
            held = dict(zip(ids, row["read_cts"], strict=True))
            self.model.claims[row["claim_id"]] = HeldClaim(str(worker.id), held, self.now)
            if told:
                worker.learn(row)

    def _check_arrays(self, row: dict[str, Any]) -> None:
        """What a claim says of each message: how often it was delivered, failed and got lost."""
        ids = row["msg_ids"]
        assert row["read_cts"] == [self.model.rows[msg_id].read_ct for msg_id in ids]
        again = any(read_ct > 1 for read_ct in row["read_cts"])
        assert row["failures"] == ([self.model.tried(msg_id) for msg_id in ids] if again else None)
        assert row["lost_leases"] == ([self.model.lost(msg_id) for msg_id in ids] if again else None)

    def _stored_bytes(self) -> int:
        """What one message takes; all are alike."""
        if not self.size and self.model.rows:
            self.size = self.ask(
                f"select pg_column_size(message) as size from {self.protocol.shape.queue} limit 1"
            )[0]["size"]
        return self.size

    def picked(self, number: int, bits: int) -> tuple[ModelWorker, list[Message]]:
        """Some messages of a worker that holds any."""
        holding = [worker for worker in self.workers if worker.held]
        worker = holding[number % len(holding)]
        return worker, worker.pick(bits)

    def renewed(self, worker: ModelWorker, messages: list[Message]) -> None:
        renewed = self.model.renew(tokens(messages), self.now, LEASE_US)
        answers = self.protocol.renew(tokens(messages), LEASE_S)
        assert {msg_id for msg_id, row in answers.items() if row["vt_us"] is not None} == set(renewed)
        assert {msg_id for msg_id, row in answers.items() if row["held"]} == set(renewed)
        for message in messages:
            if message.msg_id in renewed:
                message.vt_us = answers[message.msg_id]["vt_us"]
                worker.held.append(message)
            else:
                self._let_go(worker, message)

    def settled(
        self, worker: ModelWorker, messages: list[Message], outcome: Outcome, *, archive: bool
    ) -> None:
        expected = self._expected(messages, outcome, archive=archive)
        finished, touched = worker.held_messages.closing(messages)
        pairs: list[Pair] = [(message, outcome) for message in messages]
        keep_results = isinstance(outcome, Completed) and outcome.result is not None
        settled = self.protocol.settle(
            worker.id, pairs, finished, touched, archive=archive, keep_results=keep_results
        )
        assert settled == expected
        if isinstance(outcome, Failed):
            self._record(worker, [message for message in messages if message.msg_id in settled], outcome.kind)
        touched = [] if isinstance(outcome, Completed) else touched
        self.model.close(finished, touched, [message.msg_id for message in messages])

    def _expected(self, messages: list[Message], outcome: Outcome, *, archive: bool) -> list[int]:
        """What the model says of an outcome."""
        held = tokens(messages)
        if isinstance(outcome, Completed):
            return self.model.complete(held, archive=archive, results=outcome.result is not None)
        if outcome == CANCELLED:
            return self.model.cancel_running(held)
        if isinstance(outcome, Failed) and outcome.retry_after_s is None:
            return self.model.bury(held, {each.msg_id: each.attempt for each in messages}, outcome.kind)
        return self.model.reschedule(held, self.now, round(delay_s(outcome) * 1e6))

    def _let_go(self, worker: ModelWorker, message: Message) -> None:
        finished, touched = worker.held_messages.closing([message])
        self.protocol.settle(worker.id, [(message, LOST)], finished, touched)
        claim = self.model.claims.get(message.claim.claim_id)
        if (
            claim is not None and message.msg_id in claim.held
        ):  # else whoever took it has recorded the end of this delivery
            self._record(worker, [message], "lost_lease")
        self.model.close(finished, touched, [message.msg_id])

    def _record(self, worker: ModelWorker, messages: list[Message], kind: str) -> None:
        self.model.failures += [
            Failure(message.msg_id, message.attempt, str(worker.id), kind) for message in messages
        ]

    def heartbeat(self, number: int) -> None:
        worker = self.workers[number]
        running = [message.msg_id for message in worker.held]
        self._wait_beyond(claim.claimed_at + LEASE_US for claim in self.model.claims.values())
        keep = worker.held_messages.claim_ids
        self._wait_beyond(self.model.judgements())
        lock = None if self.pooled else worker.lock_key
        answer = self.protocol.beat(worker.id, running, keep, float(LEASE_S), lock)
        asked = {msg_id for msg_id, done in self.model.cancellations.items() if not done}
        assert answer["known"]
        assert set(answer["cancelled"]) == asked & set(running)
        assert answer["in_doubt"] == self.model.in_doubt(str(worker.id), self.now)
        assert answer["forgotten"] == bool(self.model.forgotten(str(worker.id), keep, LEASE_US, self.now))
        known = self.model.workers[str(worker.id)]
        known.last_heartbeat_at, known.free_at, known.stopped_at = self.now, None, None

    def given_back(self, number: int) -> None:
        worker = self.workers[number]
        self._wait_beyond(claim.claimed_at + LEASE_US for claim in self.model.claims.values())
        keep = worker.held_messages.claim_ids
        rows = self.ask(statement("give_back"), worker.id, keep, float(LEASE_S), "lost_lease", "untold")
        expected = self.model.give_back(str(worker.id), keep, LEASE_US, self.now)
        assert sorted(sorted(row["msg_ids"]) for row in rows) == sorted(expected)

    def hint_left(self, number: int) -> None:
        cursor = self.workers[number].cursor
        text = queue_statement("cursor_hint_write", self.protocol.shape)
        self.db.execute(text.encode(), [self.queue, cursor.history, cursor.floor])

    def rescued(self, _: int) -> None:
        """Whichever worker does it."""
        self._wait_beyond(self.model.judgements())
        rows = self.protocol.rescue()
        expected = self.model.rescue(self.now)
        returned = [row for row in rows if row["msg_ids"] is not None]
        assert [(str(row["worker_id"]), sorted(row["msg_ids"])) for row in returned] == expected
        assert {str(row["worker_id"]) for row in rows if row not in returned} == self.model.suspects()

    # people and strangers

    def cancelled(self, which: int) -> None:
        msg_id = which % self.model.sequence + 1
        (row,) = self.ask("select postmill.cancel($1, $2::bigint) as answer", self.queue, msg_id)
        assert row["answer"] == self.model.cancel(msg_id, self.now)

    def replayed(self, which: int) -> None:
        """One letter or all; those that were replayed before are left alone."""
        letters = self.ask(
            "select letter_id, msg_id from postmill.dead_letters where queue_name = $1 order by letter_id",
            self.queue,
        )
        if letters and which % 2:
            letters = [letters[which % len(letters)]]
        rows = self.ask(
            "select * from postmill.replay($1, letter_ids => $2::bigint[])",
            self.queue,
            [letter["letter_id"] for letter in letters],
        )
        waiting = [letter for letter in letters if letter["msg_id"] in self.model.waiting_letters]
        assert [row["letter_id"] for row in rows] == [letter["letter_id"] for letter in waiting]
        for letter, row in zip(waiting, rows, strict=True):
            assert row["msg_id"] == self.model.replay(letter["msg_id"], self.now)

    def paused_or_resumed(self) -> None:
        verb = "resume" if self.model.paused else "pause"
        self.db.execute(f"select postmill.{verb}($1)".encode(), [self.queue])
        self.model.paused = not self.model.paused

    def read(self, limit: int) -> None:
        rows = self.ask(
            "select msg_id from pgmq.read($1, $2::integer, $3::integer)", self.queue, LEASE_S, limit
        )
        assert sorted(row["msg_id"] for row in rows) == self.model.read(self.now, limit, LEASE_US)

    def moved(self, which: int, delay_s: int) -> int:
        msg_id = self._queued(which)
        self.ask("select from pgmq.set_vt($1, $2::bigint, $3::integer)", self.queue, msg_id, delay_s)
        self.model.set_vt(msg_id, self.now, delay_s * 1_000_000)
        return msg_id

    def taken_out(self, which: int, *, archive: bool) -> None:
        msg_id = self._queued(which)
        self.ask(f"select pgmq.{'archive' if archive else 'delete'}($1, $2::bigint)", self.queue, msg_id)
        del self.model.rows[msg_id]
        (self.model.archived if archive else self.model.deleted).add(msg_id)

    # time

    def passed(self, seconds: int) -> None:
        """Everything that is compared with the clock is moved against it."""
        by_us = seconds * 1_000_000
        for name, db in (("db", self.db), *((name, self.connections[name]) for name in self.virtual)):
            ids = list(self.model.rows if name == "db" else self.model.unseen[name])
            db.execute(
                f"update {self.protocol.shape.queue} set vt = vt - $1::bigint * interval '1 us', "
                "enqueued_at = enqueued_at - $1::bigint * interval '1 us' "
                "where msg_id = any ($2::bigint[])".encode(),
                [by_us, ids],
            )
        moments = (
            ("claims", "claimed_at"),
            ("workers", "last_heartbeat_at"),
            ("workers", "lock_free_at"),
            ("workers", "stopped_at"),
        )
        for table, column in moments:
            self.db.execute(
                f"update postmill.{table} set {column} = {column} - $1::bigint * interval '1 us' "
                "where queue_name = $2".encode(),
                [by_us, self.queue],
            )
        self.model.shift(by_us)
        for worker in self.workers:
            worker.shift(by_us)

    def _wait_beyond(self, moments: Iterable[int]) -> None:
        """Make sure that none of the moments comes while the next statement runs."""
        waits = [moment - self.now for moment in moments]
        while any(0 <= wait < MARGIN_US for wait in waits):
            self.passed(MARGIN_US // 1_000_000)
            waits = [wait - MARGIN_US for wait in waits]

    def clock(self) -> int:
        (row,) = self.ask("select (extract(epoch from clock_timestamp()) * 1000000)::bigint as now")
        now: int = row["now"]
        return now

    def ask(self, text: str, *values: object, db: Database | None = None) -> list[dict[str, Any]]:
        return (db or self.db).execute(text.encode(), values or None).fetchall()

    def _queued(self, which: int) -> int:
        return sorted(self.model.rows)[which % len(self.model.rows)]
