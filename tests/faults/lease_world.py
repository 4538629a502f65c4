"""What can happen to a lease, step by step on the real SQL, and what must never come of it.

Each step starts the connection's transaction again, loads the state into the tables, runs one real statement,
compares what it did with what the holder of a token is entitled to, and reads the tables.
"""

from __future__ import annotations

import json
import time
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from uuid import UUID

from postmill.model.queue.message import Claim, Message
from postmill.model.queue.outcome import CANCELLED, COMPLETED, RELEASED, Failed, Outcome
from tests.faults.explorer import Violation
from tests.faults.lease_scene import (
    LAST_LOADED_CLAIM,
    NOBODY,
    WAIT_US,
    WORKERS,
    HeldClaim,
    LiveRow,
    LiveToken,
    Row,
    Scene,
    State,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from tests.faults.protocol import Protocol

WAIT_S = WAIT_US / 1e6
IDS = {"A": UUID(int=0xA), "B": UUID(int=0xB), "C": UUID(int=0xC)}
NAMES = {worker_id: name for name, worker_id in IDS.items()}

ENDED = {"completes": "archived", "buries": "dead", "cancels": "cancelled"}
OUTCOMES: dict[str, Outcome] = {
    "completes": COMPLETED,
    "releases": RELEASED,
    "cancels": CANCELLED,
    "retries": Failed("error", "ValueError", "no", None, retry_after_s=WAIT_S),
    "buries": Failed("error", "ValueError", "no", None, retry_after_s=None, reason="hopeless"),
}

LOAD = """
with scene as (select $1::jsonb as it),
queued as (
    insert into {queue} (msg_id, read_ct, vt, message, enqueued_at) overriding system value
    select msg_id, read_ct, timestamptz 'epoch' + vt_us * interval '1 microsecond', '{}',
           clock_timestamp() - interval '2 minutes'
      from scene, jsonb_to_recordset(it -> 'rows') as t (msg_id bigint, read_ct integer, vt_us bigint)
),
claimed as (
    insert into postmill.claims (claim_id, worker_id, queue_name, msg_ids, read_cts, claimed_at)
           overriding system value
    select claim_id, worker_id, 'lease', array(select jsonb_array_elements_text(msg_ids)::bigint),
           array(select jsonb_array_elements_text(read_cts)::integer), clock_timestamp() - interval '1 minute'
      from scene, jsonb_to_recordset(it -> 'claims')
           as t (claim_id bigint, worker_id uuid, msg_ids jsonb, read_cts jsonb)
)
insert into postmill.workers
       (worker_id, queue_name, function_name, hostname, pid, version, max_concurrent, last_heartbeat_at)
select worker_id, 'lease', '', '', 0, '', 1,
       clock_timestamp() - silent_s * interval '1 second'
  from scene, jsonb_to_recordset(it -> 'workers') as t (worker_id uuid, silent_s integer)
"""
READ = """
select array(select array[msg_id, read_ct, (extract(epoch from vt) * 1000000)::bigint] from {queue}) as rows,
       array(select msg_id from {archive}) as archived,
       array(select msg_id from postmill.dead_letters) as dead,
       array(select msg_id from postmill.cancellations where cancelled_at is not null) as cancelled,
       array(select jsonb_build_array(claim_id, worker_id, msg_ids, read_cts)
               from postmill.claims) as claims
"""


class LeaseWorld:
    """Two workers, a stranger and a clock; a few messages, each delivered at most ``most_reads`` times."""

    def __init__(
        self,
        protocol: Protocol,
        *,
        most_reads: int = 2,
        stranger: bool = True,
        lost_answers: bool = False,
        verbs: Iterable[str] = ("completes", "retries"),
        read_ct_may_fall: bool = False,
    ) -> None:
        self._protocol = protocol
        self._db = protocol.db
        self._most_reads = most_reads
        self._stranger = stranger
        self._lost_answers = lost_answers
        self._verbs = tuple(verbs)
        self._read_ct_may_fall = read_ct_may_fall
        shape = protocol.shape
        self._ask(
            "select setval(pg_get_serial_sequence('postmill.claims', 'claim_id'), $1)", LAST_LOADED_CLAIM
        )
        self._deliverable: set[State] = set()
        self._pass_time = f"update {shape.queue} set vt = vt - interval '1 day'".encode()
        self._load = LOAD.replace("{queue}", shape.queue).encode()
        self._read = READ.replace("{queue}", shape.queue).replace("{archive}", shape.archive).encode()

    @staticmethod
    def start(messages: int) -> State:
        """Messages that are ready, workers that hold nothing."""
        return State(tuple(Row(msg_id, 0, True, NOBODY) for msg_id in range(1, messages + 1)), (), ())

    def steps(self, state: State) -> Iterator[str]:
        """See :class:`World`."""
        if all(row.read_ct < self._most_reads for row in state.rows if row.due):
            yield from (f"{worker} claims" for worker in WORKERS)
            if self._stranger and any(row.due for row in state.rows):
                yield "stranger reads"
        yield from self._settlements(state)
        for worker in sorted({token.worker for token in state.tokens if not token.in_flight}):
            yield f"{worker} renews"
            yield f"{worker} renews while settling"
            if self._lost_answers:
                yield f"{worker} renews unheard"
        if state.claims:
            yield from (f"{worker} is silent and rescued" for worker in WORKERS)
        if not all(row.due for row in state.rows):
            yield "time passes"
        if self._stranger:
            yield from self._steps_of_a_stranger(state)

    def _settlements(self, state: State) -> Iterator[str]:
        """A settlement waits for the end of a doubt."""
        for token in state.tokens:
            late = " late" if token.in_flight else ""
            for verb in self._verbs if not token.in_doubt else ():
                yield f"{token.worker} {verb} {token.msg_id} of delivery {token.read_ct}{late}"

    @staticmethod
    def _steps_of_a_stranger(state: State) -> Iterator[str]:
        for row in state.rows:
            yield f"stranger shows {row.msg_id}"
            yield f"stranger hides {row.msg_id}"

    def alike(self, state: State) -> State:
        """See :class:`World`: which of the workers is called A does not matter."""
        return min(state, state.mirrored())

    def take(self, state: State, step: str) -> State:
        """See :class:`World`."""
        who, verb, *rest = step.split()
        if verb == "passes":
            return state.later()
        self._db.execute(b"rollback and chain")
        scene = self._loaded(state, silent=who if verb == "is" else NOBODY)
        if verb in OUTCOMES:
            self._settles(scene, who, verb, *rest)
        else:
            action: Callable[..., None] = getattr(self, f"_{verb}")
            action(scene, who, *rest)
        self._look(scene)
        after = scene.state()
        if after not in self._deliverable:
            self._check_deliverable(scene)
            self._deliverable.add(after)
        return after

    # steps

    def _claims(self, scene: Scene, worker: str) -> None:
        row = self._protocol.claim(IDS[worker], "fast", 0, 10, lease_s=WAIT_S)
        for msg_id, read_ct in zip(row["msg_ids"] or (), row["read_cts"] or (), strict=True):
            if scene.rows[msg_id].vt_us > scene.now_us:
                raise Violation(f"message {msg_id} was delivered to {worker} while its lease was running")
            for token in scene.tokens:
                if (token.msg_id, token.read_ct) == (msg_id, read_ct):
                    raise Violation(
                        f"{worker} and {token.worker} hold message {msg_id} with the same read_ct {read_ct}"
                    )
            scene.supersede(msg_id)
            scene.rows[msg_id].holder = worker
            scene.tokens.append(LiveToken(worker, msg_id, read_ct, row["vt_us"], row["claim_id"]))

    def _renews(self, scene: Scene, worker: str, how: str = "", *_: str) -> None:
        """While settling: what this worker has just sent off to be settled arrives after the renewal.
        Unheard: the renewal is done, and its answer is lost. Asked again, it needs the claim: where a
        settlement that came too late has closed that, the lease is given up and ends by itself.
        """
        renewing = [token for token in scene.tokens if token.worker == worker and not token.in_flight]
        while renewing:
            batch = {token.msg_id: token for token in reversed(renewing)}
            doubtful = {msg_id: token.claim for msg_id, token in batch.items() if token.in_doubt}
            answers = self._protocol.renew([token.key for token in batch.values()], WAIT_S, doubtful)
            for msg_id, token in batch.items():
                renewing.remove(token)
                token.current &= not token.in_doubt or scene.is_listed(token)
                _check(token, "renew", did=answers[msg_id]["vt_us"] is not None)
                _check(token, "hear that it holds", did=answers[msg_id]["held"])
                if how == "unheard":
                    token.in_doubt = True
                else:
                    self._renewed(scene, token, answers[msg_id], keep_copy=how == "while")

    def _renewed(self, scene: Scene, token: LiveToken, answer: dict[str, Any], *, keep_copy: bool) -> None:
        scene.tokens.remove(token)
        if not token.current:
            return
        if (keep_copy and not token.in_doubt) and not any(
            (each.worker, each.msg_id, each.in_flight) == (token.worker, token.msg_id, True)
            for each in scene.tokens
        ):
            scene.tokens.append(replace(token, current=False, in_flight=True))
        scene.tokens.append(replace(token, vt_us=answer["vt_us"], in_doubt=False))

    def _settles(self, scene: Scene, worker: str, verb: str, *rest: str) -> None:
        msg_id, read_ct, in_flight = int(rest[0]), int(rest[3]), "late" in rest
        token = next(
            token
            for token in scene.tokens
            if (token.worker, token.msg_id, token.read_ct, token.in_flight)
            == (worker, msg_id, read_ct, in_flight)
        )
        scene.tokens.remove(token)
        others = {each.msg_id for each in scene.tokens if each.claim == token.claim} - {msg_id}
        finished, touched = ([], [token.claim]) if others else ([token.claim], [])
        settled = self._protocol.settle(IDS[worker], [(_message(token), OUTCOMES[verb])], finished, touched)
        _check(token, "settle", did=bool(settled))
        if settled:
            scene.supersede(msg_id)
            scene.rows[msg_id].holder = NOBODY
            if verb in ENDED:
                del scene.rows[msg_id]
                scene.ended[ENDED[verb]].append(msg_id)

    def _is(self, scene: Scene, gone: str, *_: str) -> None:
        """Silent for too long, whatever it may still do: anyone rescues what it holds."""
        given_back = set()
        for row in self._protocol.rescue():
            for msg_id in row["msg_ids"]:
                holder = scene.rows[msg_id].holder
                if (NAMES[row["worker_id"]], holder) != (gone, gone):
                    raise Violation(
                        f"message {msg_id} was taken from {holder or 'nobody'}, as if it were {gone}'s"
                    )
                given_back.add(msg_id)
        for claim in scene.claims.values():
            for msg_id, read_ct in claim.held if claim.worker == gone else ():
                row_now = scene.rows.get(msg_id)
                if row_now and row_now.read_ct == read_ct and msg_id not in given_back:
                    raise Violation(f"message {msg_id} was left with {gone}, who is gone")
        for msg_id in given_back:
            scene.supersede(msg_id)
            scene.rows[msg_id].holder = NOBODY

    def _reads(self, scene: Scene, _: str) -> None:
        for row in self._ask("select msg_id from pgmq.read('lease', $1::integer, 10)", int(WAIT_S)):
            scene.supersede(row["msg_id"])
            scene.rows[row["msg_id"]].holder = NOBODY

    def _shows(self, scene: Scene, _: str, msg_id: str) -> None:
        self._set_vt(scene, int(msg_id), 0)

    def _hides(self, scene: Scene, _: str, msg_id: str) -> None:
        self._set_vt(scene, int(msg_id), int(WAIT_S))

    def _set_vt(self, scene: Scene, msg_id: int, delay_s: int) -> None:
        self._ask("select from pgmq.set_vt('lease', $1::bigint, $2::integer)", msg_id, delay_s)
        scene.supersede(msg_id)

    # the tables

    def _loaded(self, state: State, *, silent: str) -> Scene:
        scene = Scene.of(state, round(time.time() * 1e6))
        document = {
            "rows": [
                {"msg_id": msg_id, "read_ct": row.read_ct, "vt_us": row.vt_us}
                for msg_id, row in scene.rows.items()
            ],
            "claims": [
                {
                    "claim_id": claim_id,
                    "worker_id": str(IDS[claim.worker]),
                    "msg_ids": [msg_id for msg_id, _ in claim.held],
                    "read_cts": [read_ct for _, read_ct in claim.held],
                }
                for claim_id, claim in scene.claims.items()
            ],
            "workers": [
                {"worker_id": str(IDS[worker]), "silent_s": 60 if worker == silent else 0}
                for worker in WORKERS
            ],
        }
        self._db.execute(self._load, [json.dumps(document)])
        return scene

    def _look(self, scene: Scene) -> None:
        """Take in the tables, and compare: nothing lost, nothing doubled, read_ct never lower."""
        (seen,) = self._ask(self._read.decode())
        rows = {msg_id: (read_ct, vt_us) for msg_id, read_ct, vt_us in seen["rows"]}
        for msg_id, row in scene.rows.items():
            if msg_id not in rows:
                raise Violation(f"message {msg_id} is gone from the queue, and nobody was to settle it")
            read_ct, vt_us = rows[msg_id]
            if read_ct < row.read_ct and not self._read_ct_may_fall:
                raise Violation(f"read_ct of message {msg_id} went down from {row.read_ct} to {read_ct}")
            scene.rows[msg_id] = LiveRow(read_ct, vt_us, row.holder)
        for place, ids in scene.ended.items():
            if sorted(seen[place]) != ids:
                raise Violation(f"{place}: {seen[place]}, and not {ids}")
        if set(rows) != set(scene.rows):
            raise Violation(f"queued: {sorted(rows)}, and not {sorted(scene.rows)}")
        scene.claims = {
            claim_id: HeldClaim(NAMES[UUID(worker_id)], tuple(zip(msg_ids, read_cts, strict=True)))
            for claim_id, worker_id, msg_ids, read_cts in seen["claims"]
        }

    def _check_deliverable(self, scene: Scene) -> None:
        """Whatever happened, after enough time another worker gets every message that is queued."""
        self._db.execute(self._pass_time)
        row = self._protocol.claim(IDS["C"], "late", 0, 10, 10, lease_s=WAIT_S)
        if sorted(row["msg_ids"] or ()) != sorted(scene.rows):
            raise Violation(
                f"of the messages {sorted(scene.rows)} only {row['msg_ids']} can still be delivered"
            )

    def _ask(self, text: str, *values: object) -> list[dict[str, Any]]:
        return self._db.execute(text.encode(), values or None).fetchall()


def _check(token: LiveToken, verb: str, *, did: bool) -> None:
    """By rights a token that is current does it, and one that was superseded does nothing."""
    if did == token.current:
        return
    whose = f"{token.worker}'s token of delivery {token.read_ct} of message {token.msg_id}"
    if did:
        raise Violation(f"{whose} was superseded, and did {verb}")
    raise Violation(f"{whose} is current, and did not {verb}")


def _message(token: LiveToken) -> Message:
    claim = Claim(token.claim, datetime.fromtimestamp(0, UTC), 0.0)
    return Message("lease", token.msg_id, token.read_ct, token.vt_us, 0, "{}", None, 0, 0, claim)
