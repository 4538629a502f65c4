"""What a queue is, in plain Python: the rules that the SQL must follow, without locks, plans or concurrency.

Times are microseconds of the server's clock. Where a statement reads that clock itself, the model is given
the moment before the statement, and :attr:`Row.vt` is made exact by the comparison that follows every step.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

SILENT_US = 10_000_000
"""The shortest time a worker may be silent; with a longer lease, that."""
LOCK_GRACE_US = 1_000_000


class Token(NamedTuple):
    """What proves a lease."""

    msg_id: int
    read_ct: int
    vt: int


@dataclass
class Row:
    """A message in the queue."""

    msg_id: int
    vt: int
    read_ct: int = 0


@dataclass
class HeldClaim:
    """Who claimed what."""

    worker: str
    held: dict[int, int]
    claimed_at: int


@dataclass
class Failure:
    """One recorded end of a delivery."""

    msg_id: int
    attempt: int
    worker: str
    kind: str


@dataclass
class Letter:
    """A dead letter."""

    attempts: int
    kind: str
    replayed_as: int | None = None


@dataclass
class Worker:
    """A worker as the others see it. ``locked`` is None behind a pooler, where there is no session lock."""

    last_heartbeat_at: int
    locked: bool | None
    lease_us: int = 0
    free_at: int | None = None
    """When a rescue first found its lock free."""
    stopped_at: int | None = None
    silent: bool = False
    """It was declared gone for its silence, and held its lock."""

    @property
    def stopped(self) -> bool:
        """It was declared gone, and has not been heard of since."""
        return self.stopped_at is not None

    @property
    def bound_us(self) -> int:
        """How long it may be silent."""
        return max(SILENT_US, self.lease_us)


@dataclass
class Model:
    """One queue with everything that is written down about it."""

    rows: dict[int, Row] = field(default_factory=dict)
    unseen: dict[str, dict[int, Row]] = field(default_factory=dict)
    """By open transaction: what it has sent."""
    rolled_back: set[int] = field(default_factory=set)
    sequence: int = 0
    archived: set[int] = field(default_factory=set)
    deleted: set[int] = field(default_factory=set)
    results: dict[int, int] = field(default_factory=dict)
    failures: list[Failure] = field(default_factory=list)
    letters: dict[int, Letter] = field(default_factory=dict)
    """By the dead message's id."""
    claims: dict[int, HeldClaim] = field(default_factory=dict)
    cancellations: dict[int, bool] = field(default_factory=dict)
    """By message: whether it is cancelled, or only asked for."""
    workers: dict[str, Worker] = field(default_factory=dict)
    paused: bool = False
    unsure: set[int] = field(default_factory=set)
    """Rows whose vt is known as the moment before a statement plus a delay, until it is seen."""

    # sending

    def send(self, now: int, delay_us: int, transaction: str | None = None) -> int:
        """A message that falls due after a delay, visible when its transaction commits."""
        self.sequence += 1
        rows = self.rows if transaction is None else self.unseen.setdefault(transaction, {})
        rows[self.sequence] = Row(self.sequence, now + delay_us)
        self.unsure.add(self.sequence)
        return self.sequence

    def end(self, transaction: str, *, commit: bool) -> None:
        """A transaction ends; ids that it took are used up either way."""
        sent = self.unseen.pop(transaction)
        if commit:
            self.rows.update(sent)
        else:
            self.rolled_back.update(sent)

    # claiming

    def candidates(self, lane: str, above: int, up_to: int | None, now: int) -> list[Row]:
        """What a claim may take from a lane, in the lane's order."""
        return [] if self.paused else self.due(lane, above, up_to, now)

    def due(self, lane: str, above: int, up_to: int | None, now: int) -> list[Row]:
        """What is due in a lane, in the lane's order."""
        last = self.sequence if up_to is None else up_to
        due = [row for row in self.rows.values() if row.vt <= now and row.msg_id <= last]
        if lane == "due":
            return sorted((row for row in due if row.vt > above), key=lambda row: row.vt)
        return sorted((row for row in due if row.msg_id > above), key=lambda row: row.msg_id)

    def claim(self, found: list[Row], limit: int, fitting: int, vt: int) -> list[int]:
        """Take the first ``limit`` of ``found``, as many of them as fit into the bytes allowed."""
        taken = found[: min(limit, fitting)]
        for row in taken:
            row.read_ct += 1
            row.vt = vt
        return [row.msg_id for row in taken]

    def tried(self, msg_id: int) -> int:
        """Recorded failures that count as attempts."""
        return sum(each.msg_id == msg_id and each.kind != "lost_lease" for each in self.failures)

    def lost(self, msg_id: int) -> int:
        """Deliveries that ended without an outcome."""
        ended = ("lost_lease", "crash")
        return sum(each.msg_id == msg_id and each.kind in ended for each in self.failures)

    # settling: each returns what it really did

    def held(self, tokens: Iterable[Token]) -> list[int]:
        """Which of the tokens are those of their rows."""
        return [
            token.msg_id
            for token in tokens
            if (row := self.rows.get(token.msg_id)) and (row.read_ct, row.vt) == (token.read_ct, token.vt)
        ]

    def renew(self, tokens: Sequence[Token], now: int, lease_us: int) -> list[int]:
        """Leases that were renewed."""
        held = self.held(tokens)
        self._due_at(held, now + lease_us)
        return held

    def complete(self, tokens: Sequence[Token], *, archive: bool, results: bool) -> list[int]:
        """Messages that are done."""
        done = self.held(tokens)
        for msg_id in done:
            del self.rows[msg_id]
            (self.archived if archive else self.deleted).add(msg_id)
            if results:
                self.results[msg_id] = 1
        return done

    def reschedule(self, tokens: Sequence[Token], now: int, delay_us: int) -> list[int]:
        """Messages that wait again."""
        back = self.held(tokens)
        self._due_at(back, now + delay_us)
        return back

    def bury(self, tokens: Sequence[Token], attempts: dict[int, int], kind: str) -> list[int]:
        """Messages that become dead letters."""
        gone = self.held(tokens)
        for msg_id in gone:
            del self.rows[msg_id]
            self.letters[msg_id] = Letter(attempts[msg_id], kind)
        return gone

    def cancel_running(self, tokens: Sequence[Token]) -> list[int]:
        """Messages whose handlers have given up."""
        gone = self.held(tokens)
        for msg_id in gone:
            del self.rows[msg_id]
            self.cancellations[msg_id] = True
        return gone

    def close(self, finished: Iterable[int], touched: Iterable[int], ids: Iterable[int]) -> None:
        """Claims end, or lose some of their messages."""
        for claim_id in finished:
            self.claims.pop(claim_id, None)
        for claim_id in touched:
            for msg_id in ids:
                if claim_id in self.claims:
                    self.claims[claim_id].held.pop(msg_id, None)

    # people

    def cancel(self, msg_id: int, now: int) -> str:
        """What postmill.cancel answers."""
        if msg_id not in self.rows:
            return "cancelled" if self.cancellations.get(msg_id) else "not found"
        if self.state(msg_id, now) == "running":
            self.cancellations.setdefault(msg_id, False)
            return "requested"
        del self.rows[msg_id]
        self.cancellations[msg_id] = True
        return "cancelled"

    @property
    def waiting_letters(self) -> set[int]:
        """Dead messages that nobody has replayed."""
        return {msg_id for msg_id, letter in self.letters.items() if letter.replayed_as is None}

    def replay(self, msg_id: int, now: int) -> int:
        """A dead message comes back as a new one."""
        self.letters[msg_id].replayed_as = new_id = self.send(now, 0)
        return new_id

    # the gone and their rescue

    def last_sign(self, worker: str) -> int:
        """When a worker was last heard of: a heartbeat or a claim."""
        claims = [claim.claimed_at for claim in self.claims.values() if claim.worker == worker]
        return max([self.workers[worker].last_heartbeat_at, *claims])

    def judge(self, worker: str, now: int) -> None:
        """Declare a worker gone: its lock has been free for a second, or it has been silent for too long."""
        known = self.workers[worker]
        unlocked = known.free_at is not None and now - known.free_at > LOCK_GRACE_US
        silent = now - self.last_sign(worker) > known.bound_us
        if not known.stopped and (unlocked or silent):
            known.stopped_at, known.silent = now, known.locked is True

    def judgements(self) -> list[int]:
        """When something will have been silent, free or held for too long."""
        moments = []
        for name, worker in self.workers.items():
            moments.append(self.last_sign(name) + worker.bound_us)
            if worker.free_at is not None:
                moments.append(worker.free_at + LOCK_GRACE_US)
        return moments + [
            claim.claimed_at + self.workers[claim.worker].bound_us for claim in self.claims.values()
        ]

    def rescue(self, now: int) -> list[tuple[str, list[int]]]:
        """Worker and messages of each claim that is given back, oldest first. Then locks are looked at."""
        for name in self.workers:
            self.judge(name, now)
        gone = [claim_id for claim_id, each in sorted(self.claims.items()) if self._is_left(each, now)]
        returned = []
        for claim_id in gone:
            worker = self.claims[claim_id].worker
            kind = "lost_lease" if self.workers[worker].silent else "crash"
            returned.append((worker, self.return_claim(claim_id, now, kind)))
        for name in self.suspects():
            known = self.workers[name]
            known.free_at = now if known.free_at is None else known.free_at
        return returned

    def _is_left(self, claim: HeldClaim, now: int) -> bool:
        """Whether a claim belongs to a worker that is gone. One that claims afterwards lives after all."""
        worker = self.workers[claim.worker]
        if worker.stopped_at is None:
            return False
        return claim.claimed_at <= worker.stopped_at or now - claim.claimed_at > worker.bound_us

    def suspects(self) -> set[str]:
        """Workers that have let go of their lock, and are not judged yet."""
        return {name for name, each in self.workers.items() if each.locked is False and not each.stopped}

    def in_doubt(self, asking: str, now: int) -> bool:
        """Whether another worker may be gone."""
        silent = {name for name, each in self.workers.items() if now - each.last_heartbeat_at > each.bound_us}
        others = {name for name, each in self.workers.items() if name != asking and not each.stopped}
        return bool(others & (silent | self.suspects()))

    def give_back(self, worker: str, keep: Iterable[int], older_us: int, now: int) -> list[list[int]]:
        """Messages of each claim of a worker's own that it does not work on."""
        forgotten = self.forgotten(worker, keep, older_us, now)
        return [self.return_claim(claim_id, now, "lost_lease") for claim_id in forgotten]

    def forgotten(self, worker: str, keep: Iterable[int], older_us: int, now: int) -> list[int]:
        """Claims of a worker's own that it does not know of, and should by now."""
        kept = set(keep)
        return [
            claim_id
            for claim_id, each in sorted(self.claims.items())
            if each.worker == worker and claim_id not in kept and each.claimed_at < now - older_us
        ]

    def return_claim(self, claim_id: int, now: int, kind: str) -> list[int]:
        """End what is left of a claim's leases."""
        claim = self.claims.pop(claim_id)
        back = sorted(
            msg_id
            for msg_id, read_ct in claim.held.items()
            if msg_id in self.rows and self.rows[msg_id].read_ct == read_ct
        )
        taken = [
            msg_id
            for msg_id, read_ct in claim.held.items()
            if msg_id in self.rows and self.rows[msg_id].read_ct > read_ct
        ]
        for msg_id in [*back, *taken]:  # the lease of a taken one is not ours to end, but its delivery failed
            self.failures.append(Failure(msg_id, self.tried(msg_id) + 1, claim.worker, kind))
        self._due_at(back, now)
        return back

    # others

    def read(self, now: int, limit: int, lease_us: int) -> list[int]:
        """What another client's pgmq.read gives."""
        due = sorted(msg_id for msg_id, row in self.rows.items() if row.vt <= now)[:limit]
        for msg_id in due:
            self.rows[msg_id].read_ct += 1
        self._due_at(due, now + lease_us)
        return due

    def set_vt(self, msg_id: int, now: int, delay_us: int) -> None:
        """Another client moves a message."""
        self._due_at([msg_id], now + delay_us)

    def state(self, msg_id: int, now: int) -> str:
        """The state of a queued message."""
        row = self.rows[msg_id]
        if row.vt <= now:
            return "ready"
        if any(claim.held.get(msg_id) == row.read_ct for claim in self.claims.values()):
            return "running"
        return "retrying" if row.read_ct else "scheduled"

    def states(self, now: int) -> dict[int, tuple[str, int]]:
        """State and attempts of every message that there is."""
        found = {
            msg_id: (state, self.tried(msg_id) + (state == "running"))
            for msg_id in self.rows
            for state in [self.state(msg_id, now)]
        }
        found |= {
            msg_id: ("completed", self.tried(msg_id) + 1) for msg_id in self.archived | set(self.results)
        }
        found |= {msg_id: ("dead", self.letters[msg_id].attempts) for msg_id in self.waiting_letters}
        return found | {
            msg_id: ("cancelled", self.tried(msg_id)) for msg_id, done in self.cancellations.items() if done
        }

    def shift(self, by_us: int) -> None:
        """Time passes: what lies ahead comes nearer, what is past goes further away."""
        for rows in (self.rows, *self.unseen.values()):
            for row in rows.values():
                row.vt -= by_us
        for claim in self.claims.values():
            claim.claimed_at -= by_us
        for worker in self.workers.values():
            worker.last_heartbeat_at -= by_us
            if worker.free_at is not None:
                worker.free_at -= by_us
            if worker.stopped_at is not None:
                worker.stopped_at -= by_us

    def _due_at(self, ids: Iterable[int], vt: int) -> None:
        for msg_id in ids:
            self.rows[msg_id].vt = vt
            self.unsure.add(msg_id)
