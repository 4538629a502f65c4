"""Sessions that claim, settle, crash and meddle at the same time in a queue with groups and limits, and a
judge that counts on its own what runs.

Each session speaks the engine's statements (:class:`~tests.faults.protocol.Protocol`) and knows of the gates
what a worker knows. What runs is counted in this process: raised after a claim has answered, lowered before
the statement that ends it is sent. So the count is never higher than what runs, and a limit that it finds
exceeded was exceeded.
"""

from __future__ import annotations

import random
import time
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from threading import Lock, Thread
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import orjson
import psycopg

from postmill.model.queue.cursor import LOWEST
from postmill.model.queue.gate_horizon import GateHorizon
from postmill.model.queue.message import Claim, HeldMessages, Message
from postmill.model.queue.outcome import CANCELLED, COMPLETED, PARKED, RELEASED, Failed
from postmill.sql.catalog import queue_statement, statement
from tests.faults.protocol import Protocol
from tests.sql.asking import rows

if TYPE_CHECKING:
    from collections.abc import Callable

    from postmill.model.queue.outcome import Outcome
    from tests.faults.protocol import Database

QUEUE = "race"
GROUPS = tuple(f"g{number}" for number in range(6))
LEASE_S = 60.0
"""Longer than a race: no lease ends by itself."""
GIVE_UP_S = 60.0
"""After its time a race waits so long for what has to happen in it; nothing is measured by it."""
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
DRAINED_S = 30.0
"""What does not move for so long never comes to its end: the sweep of gates comes after 5 s, or later when
busy.
"""
ENDS: tuple[Outcome, ...] = (
    COMPLETED, COMPLETED, COMPLETED, RELEASED, CANCELLED,
    Failed("error", "ValueError", "no", None, retry_after_s=0.0),
    Failed("error", "ValueError", "no", None, retry_after_s=None, reason="hopeless"),
)  # fmt: skip
STARTS = """
create table public.starts (group_key text, at timestamptz, many integer);
create function public.note_starts() returns trigger language plpgsql as $$
begin
    insert into public.starts select new.group_key, moment, count(*)
    from unnest(new.recent) as moment where moment = new.recent[cardinality(new.recent)] group by moment;
    return null;
end $$;
create trigger note_starts after update of recent on postmill.groups
for each row when (old.recent <> new.recent) execute function public.note_starts();
"""
"""Each grant of a rate limit, as it was written down."""


@dataclass
class Judge:
    """What runs of each group, in the memory of this process; the key ``*`` is the whole queue."""

    most: dict[str, int]
    running: Counter[str] = field(default_factory=Counter)
    peak: Counter[str] = field(default_factory=Counter)
    exceeded: int = 0
    begun: int = 0
    _lock: Lock = field(default_factory=Lock)

    def begins(self, keys: list[str]) -> None:
        """Messages of these groups run now."""
        with self._lock:
            for key in keys:
                self._count(key)
                self._count("*")
                self.begun += 1

    def ends(self, keys: list[str]) -> None:
        """They do not any more, as far as anybody can see."""
        with self._lock:
            for key in keys:
                self.running[key] -= 1
                self.running["*"] -= 1

    def _count(self, key: str) -> None:
        self.running[key] += 1
        self.peak[key] = max(self.peak[key], self.running[key])
        most = self.most.get(key, self.most.get("each") if key not in ("", "*") else None)
        self.exceeded += most is not None and self.running[key] > most


class Racer:
    """One worker: a session, an id, and what it holds."""

    def __init__(self, protocol: Protocol, db: Database, judge: Judge) -> None:
        self.protocol = protocol.on(db)
        self.judge = judge
        self.horizon = GateHorizon()
        self.held = HeldMessages()
        self.last_claim_id = 0
        self.begin()

    def begin(self) -> None:
        """Be a worker that has just started."""
        self.id = uuid4()
        self.protocol.db.execute(
            b"insert into postmill.workers (worker_id, queue_name, function_name, hostname, pid, version,"
            b" max_concurrent, lock_key) values ($1, $2, '', '', 0, '', 1, null)",
            [self.id, self.protocol.queue],
        )

    def look(self) -> None:
        """Poll: what this worker knows of the gates then spares its claims to look at those that are gone."""
        text = queue_statement("busy_snapshot", self.protocol.shape, "gated")
        arguments = [self.protocol.queue, EPOCH, 0, 0, 0, self.last_claim_id, self.id, self.horizon.oldest]
        row = self.protocol.db.execute(text.encode(), arguments).fetchone()
        self.horizon.looked(row, self.last_claim_id)

    def take_parked(self, wanted: int) -> list[Message]:
        """Claim from the gates."""
        known = self.horizon
        bounds = (known.after_key, known.since, known.oldest, known.unseen)
        row = self.protocol.claim_gated(self.id, bounds, wanted, lease_s=LEASE_S)
        known.claimed(row, time.monotonic())
        self.complete: bool = row["complete"]
        self.last_claim_id = max(self.last_claim_id, row["claim_id"] or 0)
        return self._messages(row, gated=True)

    def take_plain(self) -> list[Message]:
        """Claim from the plain lanes, as the patrol does: whatever is due."""
        row = self.protocol.claim(self.id, "fast", LOWEST, 50, lease_s=LEASE_S)
        if not row["known"]:  # the table was emptied: its history begins again
            self.protocol.history = self.protocol.hint()["history"]
            self.horizon = GateHorizon()
        return self._messages(row, gated=False)

    def settle(self, messages: list[Message], outcome: Outcome) -> list[int]:
        """End messages in one way."""
        pairs = [(message, outcome) for message in sorted(messages, key=lambda message: message.msg_id)]
        finished, touched = self.held.closing(messages)
        return self.protocol.settle(self.id, pairs, finished, touched)

    def crash(self) -> None:
        """Be gone: the next rescue gives back what it holds. It comes again as another worker."""
        self.protocol.db.execute(
            b"update postmill.workers set stopped_at = clock_timestamp(), stop_reason = 'crash'"
            b" where worker_id = $1",
            [self.id],
        )

    def _messages(self, row: dict[str, Any], *, gated: bool) -> list[Message]:
        claim = Claim(row["claim_id"] or 0, row["now"], 0.0)
        ids, found = row["msg_ids"] or (), []
        columns = ("read_cts", "enqueued_us", "messages")
        rest = [row[name] or () for name in columns]
        headers = row["headers"] or [None] * len(ids)
        for msg_id, read_ct, enqueued_us, raw, its_headers in zip(ids, *rest, headers, strict=True):
            queue, vt_us = self.protocol.queue, row["vt_us"]
            message = Message(queue, msg_id, read_ct, vt_us, enqueued_us, raw, its_headers, 0, 0, claim)
            message.started, message.gated = 1.0, gated
            found.append(message)
        self.held.opened(claim, found)
        return found


def group_of(message: Message) -> str:
    """The group that its headers name, as the SQL function of that name finds it; '' is none."""
    headers = orjson.loads(message.raw_headers or "null")
    key = headers.get("postmill-group") if isinstance(headers, dict) else None
    if key is None:
        return ""
    return (key if isinstance(key, str) else orjson.dumps(key).decode())[:200]


@dataclass
class Race:
    """What takes part. ``work`` and ``meddle`` are the bodies of threads; each has a session of its own."""

    protocol: Protocol
    connect: Callable[[], Database]
    judge: Judge
    limited: bool = False
    """Whether the queue has limits: then each message has to pass its gate."""
    groups: tuple[str, ...] = ("",)
    """Workers begin their rounds at any of them."""
    wanted: tuple[int, ...] = (1, 2, 5)
    """How many messages a worker asks for."""
    ends: tuple[Outcome, ...] = ENDS
    polls: float = 0.3
    """How often a worker polls before it claims."""
    has_seen_enough: Callable[[Race], bool] = lambda race: True
    """What has to happen in it, however slow the machine is: until then it goes on."""
    ended: Counter[int] = field(default_factory=Counter)
    """Messages that were settled for good, by id."""
    sent: list[int] = field(default_factory=list)
    deleted: list[int] = field(default_factory=list)
    """What another client has deleted."""
    failures: list[BaseException] = field(default_factory=list)
    killed: int = 0
    _over: float = 0.0

    def run(self, seconds: float, *bodies: Callable[[Race], None]) -> None:
        """Let all of them go on for that long."""
        self._over = time.monotonic() + seconds
        threads = [Thread(target=self._guarded, args=[body]) for body in bodies]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if self.failures:
            raise self.failures[0]

    @property
    def goes_on(self) -> bool:
        """Whether there is time left or something to see, and nothing has been found."""
        if self.failures or self.judge.exceeded:
            return False
        late_s = time.monotonic() - self._over
        return late_s < 0 or (late_s < GIVE_UP_S and not self.has_seen_enough(self))

    def _guarded(self, body: Callable[[Race], None]) -> None:
        try:
            body(self)
        except BaseException as error:  # told by run()
            self.failures.append(error)


def race_on(db: Database, connect: Callable[[], Database], most: dict[str, int]) -> Race:
    """A queue with these limits: by group, ``each`` group or ``*``, the queue."""
    db.execute(b"select postmill.create_queue($1)", [QUEUE])
    for key, maximum in most.items():
        if key == "*":
            db.execute(b"select postmill.limit_queue($1, $2)", [QUEUE, maximum])
        else:
            db.execute(
                b"select postmill.limit_groups($1, $2, group_key => $3)",
                [QUEUE, maximum, None if key == "each" else key],
            )
    return Race(Protocol(db, QUEUE), connect, Judge(most), limited="*" in most, groups=GROUPS)


def work(race: Race) -> None:
    """Claim, run for a moment, end somehow; crash now and then. A session that is ended comes again."""
    racer = Racer(race.protocol, race.connect(), race.judge)
    while race.goes_on:
        try:
            if not _turn(race, racer):
                time.sleep(0.002)
        except psycopg.OperationalError:
            race.killed += 1
            dead, racer = racer, Racer(race.protocol, race.connect(), race.judge)
            dead.protocol = racer.protocol  # nobody knows whether its last statement was committed
            dead.crash()


def _turn(race: Race, racer: Racer) -> bool:
    plain = racer.take_plain()
    _park_or_finish(race, racer, plain)
    wanted = random.choice(race.wanted)
    if wanted == 1:
        racer.horizon.after_key = random.choice(race.groups)
    if random.random() < race.polls:
        racer.look()
    messages = racer.take_parked(wanted)
    if not messages:
        return bool(plain)
    keys = [group_of(message) for message in messages]
    race.judge.begins(keys)
    try:
        time.sleep(random.random() * 0.003)
    finally:
        race.judge.ends(keys)  # before the statement that gives the places back
    if random.random() < 0.05:
        racer.crash()
        racer.begin()
        return True
    outcome = random.choice(race.ends)
    for msg_id in racer.settle(messages, outcome):
        race.ended[msg_id] += (
            outcome in (COMPLETED, CANCELLED) or getattr(outcome, "reason", "") == "hopeless"
        )
    return True


def _park_or_finish(race: Race, racer: Racer, messages: list[Message]) -> None:
    """What came out of a plain lane: what has to wait is parked, what need not is done."""
    for has_to_wait, outcome in ((True, PARKED), (False, COMPLETED)):
        chosen = [each for each in messages if (race.limited or each.has_to_wait) is has_to_wait]
        if chosen:
            racer.settle(chosen, outcome)


def sweep(protocol: Protocol) -> None:
    """Mend gates, without the pause of three seconds."""
    again = "update postmill.queues set gates_swept_at = '-infinity' where queue_name = $1"
    protocol.db.execute(again.encode(), [protocol.queue])
    protocol.db.execute(statement("sweep_gates").encode(), [protocol.queue])


def rescue(race: Race) -> None:
    """Give back what crashed workers held, all the time."""
    protocol = race.protocol.on(race.connect())
    while race.goes_on:
        protocol.rescue()
        sweep(protocol)
        time.sleep(0.01)


def kill_sessions(race: Race) -> None:
    """End sessions of workers in the midst of their statements."""
    db = race.connect()
    while race.goes_on:
        db.execute(
            b"select pg_terminate_backend(pid) from pg_stat_activity"
            b" where datname = current_database() and state = 'active'"
            b" and (query like '%claim_gated%' or query like '%unnest%')"
            b" and pid <> pg_backend_pid() order by random() limit 1"
        )
        time.sleep(0.02)


def drain(race: Race) -> None:
    """Finish what is left, after everything else has ended."""
    racer = Racer(race.protocol, race.connect(), race.judge)
    racer.protocol.db.execute(
        b"update postmill.workers set stopped_at = clock_timestamp() where worker_id <> $1", [racer.id]
    )
    over = time.monotonic() + DRAINED_S
    while time.monotonic() < over:
        while racer.protocol.rescue():
            pass
        sweep(racer.protocol)
        plain = racer.take_plain()
        _park_or_finish(race, racer, plain)
        messages = racer.take_parked(100)
        for msg_id in racer.settle(messages, COMPLETED) if messages else ():
            race.ended[msg_id] += 1
        if plain or messages:
            over = time.monotonic() + DRAINED_S
        elif not rows(race.protocol.db, left_over(race.protocol.queue)):
            return
    left = rows(race.protocol.db, left_over(race.protocol.queue))
    raise AssertionError(f"it does not come to an end: {left[:20]}")


def left_over(queue: str) -> str:
    """Asks for everything that is not over: rows of the queue, gates, claims."""
    return (
        f"select msg_id, 'queue' as place from pgmq.q_{queue} union all "
        f"select msg_id, 'gate' from postmill.gates where queue_name = '{queue}' union all "
        f"select claim_id, 'claim' from postmill.claims where queue_name = '{queue}'"
    )
