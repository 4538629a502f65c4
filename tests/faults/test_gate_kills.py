"""A worker's process is killed (SIGKILL) at every write of a statement that takes, gives back or passes on a
place in a group: the place is never taken twice, never stays taken, and each message ends once.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import TYPE_CHECKING, Any

import orjson
import pytest

from postmill import Context  # noqa: TC001 - read from the annotation
from postmill.model.queue import silence
from tests.faults import handlers
from tests.faults.account import Account
from tests.faults.handlers import handler
from tests.faults.processes import die_at_the_gate, worker_process
from tests.service.running import running

if TYPE_CHECKING:
    from tests.faults.processes import WorkerProcess
    from tests.faults.scene import Scene

LATE = 3
"""What takes longer than so many times its promise is broken: the machine may be busy."""
SWEPT_S = 5.0
"""Seconds until a place without a claim is free: the promise of ``sweep_gates``."""
BACK_S = silence.IDLE_BEAT_S + silence.LOCK_FREE_S
"""Seconds until the messages of a killed worker are back."""
LEFT = " union all ".join(
    f"select '{table}' from postmill.{table}" for table in ("gates", "claims", "blocked", "edges", "ended")
)
"""What is kept beside messages that have not ended."""
PARKED = "new.vt = postmill._parked_until()"

either_side = pytest.mark.parametrize("commits", [False, True], ids=["undone", "committed"])
"""Killed while its statement waits, or after that has committed, before the answer was read."""


def writes(those: dict[str, Any], *, always: str) -> pytest.MarkDecorator:
    """A test for each of these writes: of groups' places in every run, of the rest in a slow one."""
    cases = [pytest.param(name, marks=() if always in name else pytest.mark.slow) for name in those]
    return pytest.mark.parametrize("write", cases)


class Judge:
    """The handler of the workers that live. It counts what runs of each group, in this process."""

    def __init__(self) -> None:
        self.running: Counter[str] = Counter()
        self.most: Counter[str] = Counter()
        self.began: list[int] = []

    async def __call__(self, payload: dict[str, Any], ctx: Context) -> None:
        """Run as any handler of a fault test."""
        group = payload["group"]
        self.running[group] += 1
        self.most[group] = max(self.most[group], self.running[group])
        self.began.append(payload["id"])
        try:
            await asyncio.sleep(0.1)  # longer than the next claim takes: two that may run at once do
            await handlers.plain(payload, ctx)
        finally:
            self.running[group] -= 1


async def send(scene: Scene, *groups: str, after: str | None = None, **payload: Any) -> list[int]:
    """Send one message to each of these groups. A worker process has one slot, and each group one place: of
    two messages in one group it holds one at most.
    """
    last = max(scene.sent, default=0)
    for number, group in enumerate(groups, last + 1):
        body = orjson.dumps({"id": number, "group": group, **payload}).decode()
        text = "select postmill.send('tasks', $1::text::jsonb, group_key => $2, after => $3::text[])"
        scene.sent.append(await scene.db.fetchval(text, body, group, after and [after]))
    return scene.sent[-len(groups) :]


async def limited(scene: Scene) -> None:
    """Give each group one place, and a rate that no test reaches."""
    await scene.db.execute("select postmill.limit_groups('tasks', 1, 1000, '1 hour')")


async def held_by(scene: Scene, victim: WorkerProcess) -> int:
    """Wait until the server has noticed the end of a worker; returns how many messages it held."""
    await scene.left_for_dead(victim.pid)
    held: int = await scene.db.fetchval(
        "select coalesce(sum(cardinality(msg_ids)), 0) from postmill.claims"
        " join postmill.workers using (worker_id) where pid = $1",
        victim.pid,
    )
    return held


async def finish(scene: Scene, patch: pytest.MonkeyPatch) -> Account:
    """Let two other workers finish everything, and see that no group ran two and that nothing is left."""
    judge = Judge()
    workers = [handler(judge, max_concurrent=4) for _ in range(2)]
    async with scene.survivor(patch, workers[0]), scene.survivor(patch, workers[1]):
        async with asyncio.timeout(LATE * SWEPT_S):
            await scene.until("select not exists (select from pgmq.q_tasks)")
            await scene.until(f"select not exists ({LEFT})")
    assert not +judge.running
    assert max(judge.most.values(), default=1) == 1
    return await scene.account()


def recorded(**kinds: int) -> dict[str, int]:
    """The recorded failures, without those that did not happen."""
    return {kind: count for kind, count in kinds.items() if count}


CLAIM: dict[str, dict[str, Any]] = {
    "makes the group's row": {"table": "postmill.groups"},
    "notes a start": {"table": "postmill.groups", "event": "update of recent"},
    "takes the message": {"table": "pgmq.q_tasks", "event": "update"},
    "writes down the claim": {"table": "postmill.claims"},
    "takes the place": {"table": "postmill.gates", "event": "update"},
}
"""The writes of claim_gated."""


@either_side
@writes(CLAIM, always="place")
async def test_killed_while_it_claims(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, write: str, commits: bool
) -> None:
    """A place that was given to a dead worker is free after its rescue, and taken by one worker only."""
    await limited(scene)
    await send(scene, "a", "a")
    await scene.shut_gate(**CLAIM[write], holds=True)
    with worker_process(scene.url) as victim:
        await die_at_the_gate(scene, victim, commits=commits)
        assert await held_by(scene, victim) == commits
    await send(scene, "a", "b")
    assert await finish(scene, monkeypatch) == Account(completed=4, failures=recorded(crash=commits))
    assert await scene.runs() == [1] * 4


ENDS: dict[str, tuple[str, dict[str, Any]]] = {
    "complete: takes out the message": ("complete", {"table": "pgmq.q_tasks", "event": "delete"}),
    "complete: archives": ("complete", {"table": "pgmq.a_tasks"}),
    "complete: frees the place": ("complete", {"table": "postmill.gates", "event": "delete"}),
    "complete: closes the claim": ("complete", {"table": "postmill.claims", "event": "delete"}),
    "retry: parks again": ("retry", {"table": "pgmq.q_tasks", "event": "update", "when": PARKED}),
    "retry: frees the place": (
        "retry",
        {"table": "postmill.gates", "event": "update", "when": "new.claim_id is null"},
    ),
    "retry: records": ("retry", {"table": "postmill.failures"}),
    "retry: closes the claim": ("retry", {"table": "postmill.claims", "event": "delete"}),
    "dead: takes out the message": ("dead", {"table": "pgmq.q_tasks", "event": "delete"}),
    "dead: writes the letter": ("dead", {"table": "postmill.dead_letters"}),
    "dead: frees the place": ("dead", {"table": "postmill.gates", "event": "delete"}),
    "dead: closes the claim": ("dead", {"table": "postmill.claims", "event": "delete"}),
}
"""The writes of complete, reschedule and dead_letter for a message that has a place."""


@either_side
@writes(ENDS, always="place")
async def test_killed_while_it_settles(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, write: str, commits: bool
) -> None:
    """The end of a message and its place are one: both are written, or neither."""
    outcome, gate = ENDS[write]
    await limited(scene)
    await send(scene, "a", "a", outcome=outcome)
    await scene.shut_gate(**gate, holds=True)
    with worker_process(scene.url) as victim:
        await die_at_the_gate(scene, victim, commits=commits)
        held = await held_by(scene, victim)
        assert held == (not commits)
        assert await scene.db.fetchval("select count(claim_id) from postmill.gates") == held
    await send(scene, "a", "b", outcome=outcome)
    ended = {"dead": 4} if outcome == "dead" else {"completed": 4}
    errors = {"complete": 0, "retry": 4 - held, "dead": 4}[outcome]
    assert await finish(scene, monkeypatch) == Account(**ended, failures=recorded(crash=held, error=errors))


CANCELS: dict[str, dict[str, Any]] = {
    "takes out the message": {"table": "pgmq.q_tasks", "event": "delete"},
    "frees the place": {"table": "postmill.gates", "event": "delete"},
    "notes the cancellation": {
        "table": "postmill.cancellations",
        "event": "insert or update",
        "when": "new.cancelled_at is not null",
    },
}
"""The writes of cancel_running."""


@either_side
@writes(CANCELS, always="place")
async def test_killed_while_it_cancels(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, write: str, commits: bool
) -> None:
    """A cancellation that was not written is only asked for: the next run may end before it is told."""
    await limited(scene)
    first, _ = await send(scene, "a", "a", hang=True)
    await scene.shut_gate(**CANCELS[write], holds=True)
    with worker_process(scene.url) as victim:
        await scene.until("select exists (select from runs)")
        await scene.db.execute("select postmill.cancel('tasks', $1)", first)
        await die_at_the_gate(scene, victim, commits=commits)
        held = await held_by(scene, victim)
        assert held == (not commits)
        assert await scene.db.fetchval("select count(claim_id) from postmill.gates") == held
    account = await finish(scene, monkeypatch)
    assert account.cancelled + account.completed == 2
    assert account.cancelled == 1 or not commits
    assert account.lost == account.doubled == account.queued == account.claims == 0


PARKS: dict[str, dict[str, Any]] = {
    "parks the message": {"table": "pgmq.q_tasks", "event": "update", "when": PARKED},
    "makes the group's row": {"table": "postmill.groups"},
    "gives it a gate": {"table": "postmill.gates"},
    "closes the claim": {"table": "postmill.claims", "event": "delete"},
}
"""The writes of park."""


@either_side
@writes(PARKS, always="gate")
async def test_killed_while_it_parks_on_sight(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, write: str, commits: bool
) -> None:
    """Messages that another client has sent with a group are in one place all the time: their lane, or
    behind their gate. They have never run, and none ran beside another of its group.
    """
    await limited(scene)
    for number, group in enumerate(("a", "a", "b"), 1):
        body = orjson.dumps({"id": number, "group": group}).decode()
        text = "select pgmq.send('tasks', $1::text::jsonb, jsonb_build_object('postmill-group', $2::text))"
        scene.sent.append(await scene.db.fetchval(text, body, group))
    await scene.shut_gate(**PARKS[write], holds=True)
    with worker_process(scene.url) as victim:
        await die_at_the_gate(scene, victim, commits=commits)
        held = await held_by(scene, victim)
        parked = await scene.db.fetchval("select count(*) from postmill.gates where claim_id is null")
        assert (parked > 0, held + parked > 0) == (commits, True)
    assert await finish(scene, monkeypatch) == Account(completed=3, failures=recorded(crash=held))
    assert await scene.runs() == [1] * 3


RESCUES: dict[str, dict[str, Any]] = {
    "parks the message": {"table": "pgmq.q_tasks", "event": "update", "when": PARKED},
    "frees the place": {"table": "postmill.gates", "event": "update", "when": "new.claim_id is null"},
    "records the crash": {"table": "postmill.failures"},
    "removes the claim": {"table": "postmill.claims", "event": "delete"},
}
"""The writes of rescue for a message that has a place."""


@either_side
@writes(RESCUES, always="place")
async def test_killed_while_it_frees_a_dead_workers_place(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, write: str, commits: bool
) -> None:
    await limited(scene)
    await send(scene, "a", stop=True)
    with worker_process(scene.url) as victim:
        await victim.stopped()
        victim.kill()
        assert await held_by(scene, victim) == 1
    await send(scene, "a")
    await scene.shut_gate(**RESCUES[write], holds=True)
    with worker_process(scene.url, rescues_at_once=True) as rescuer:
        await die_at_the_gate(scene, rescuer, commits=commits)
        await scene.left_for_dead(rescuer.pid)
    assert (
        await scene.db.fetchval("select count(*) from postmill.gates where claim_id is null") == 1 + commits
    )
    assert await finish(scene, monkeypatch) == Account(completed=2, failures={"crash": 1})


RELEASES: dict[str, tuple[str, dict[str, Any]]] = {
    "complete: counts down": ("complete", {"table": "postmill.blocked", "event": "update"}),
    "complete: opens": ("complete", {"table": "pgmq.q_tasks", "event": "update", "when": "new.msg_id = 2"}),
    "complete: does not block": ("complete", {"table": "postmill.blocked", "event": "delete"}),
    "complete: removes the edge": ("complete", {"table": "postmill.edges", "event": "delete"}),
    "complete: gives a gate": ("complete", {"table": "postmill.gates", "when": "new.msg_id = 2"}),
    "dead: cancels": ("dead", {"table": "postmill.cancellations"}),
    "dead: takes it out": ("dead", {"table": "pgmq.q_tasks", "event": "delete", "when": "old.msg_id = 2"}),
    "dead: does not block": ("dead", {"table": "postmill.blocked", "event": "delete"}),
    "dead: removes the edge": ("dead", {"table": "postmill.edges", "event": "delete"}),
}
"""The writes of release, inside the settlement of the source."""


@either_side
@writes(RELEASES, always="does not block")
async def test_killed_while_it_releases_what_waits_for_its_message(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, write: str, commits: bool
) -> None:
    """No moment is between the end of a source and the release of what waits for it: they are one statement.
    So the source has ended and the other waits for it no more, or neither.
    """
    outcome, gate = RELEASES[write]
    await limited(scene)
    (source,) = await send(scene, "a", outcome=outcome)
    await send(scene, "a", after=f"tasks:{source}")
    await scene.shut_gate(**gate, holds=True)
    with worker_process(scene.url) as victim:
        await die_at_the_gate(scene, victim, commits=commits)
        held = await held_by(scene, victim)
    assert held == (not commits)
    queued = await scene.db.fetchval("select exists (select from pgmq.q_tasks where msg_id = $1)", source)
    for table in ("blocked", "edges"):
        assert await scene.db.fetchval(f"select count(*) from postmill.{table}") == queued == (not commits)
    fates = {"completed": 2} if outcome == "complete" else {"dead": 1, "cancelled": 1}
    expected = recorded(crash=held, error=outcome == "dead")
    assert await finish(scene, monkeypatch) == Account(**fates, failures=expected)


@either_side
async def test_killed_while_its_handlers_transaction_gives_back_the_place(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, commits: bool
) -> None:
    await limited(scene)
    await send(scene, "a", "a")
    await scene.shut_gate("postmill.gates", event="delete", at_commit=True, holds=True)
    with worker_process(scene.url, kind="transaction") as victim:
        await die_at_the_gate(scene, victim, commits=commits)
        await scene.left_for_dead(victim.pid)
        assert await scene.db.fetchval("select count(*) from effects") == commits
        assert await scene.db.fetchval("select count(claim_id) from postmill.gates") == (not commits)
    assert await finish(scene, monkeypatch) == Account(completed=2, failures=recorded(crash=not commits))


async def test_a_killed_workers_place_does_not_stay_taken(scene: Scene) -> None:
    """Elsewhere the slot of a worker that crashed was taken for ever. Here it is until that one is known to
    be gone, and not a moment sooner; this is timed as it really comes.
    """
    await limited(scene)
    first, second = await send(scene, "a", "a", stop=True)
    (other,) = await send(scene, "b")
    judge = Judge()
    with worker_process(scene.url) as victim:
        await victim.stopped()
        async with running(scene.url, handler(judge, max_concurrent=4)):
            await scene.until("select exists (select from pgmq.a_tasks where msg_id = $1)", other)
            await scene.heartbeats(1)
            assert judge.began == [other]
            victim.kill()
            async with asyncio.timeout(LATE * BACK_S):
                await scene.until("select not exists (select from pgmq.q_tasks)")
    assert sorted(judge.began) == [first, second, other]
    assert judge.most == {"a": 1, "b": 1}
    assert await scene.account() == Account(completed=3, failures={"crash": 1})
    assert not await scene.db.fetch(LEFT)


async def test_a_place_without_a_claim_is_free_in_time(scene: Scene) -> None:
    """The claim of a killed worker is gone, as after a restore: its place belongs to no worker. Others of its
    group start once a worker has swept, and the message itself when its lease ends.
    """
    await limited(scene)
    first, second = await send(scene, "a", "a", stop=True)
    judge = Judge()
    with worker_process(scene.url) as victim:
        await victim.stopped()
        victim.kill()
        assert await held_by(scene, victim) == 1
    await scene.db.execute("delete from postmill.claims")
    async with running(scene.url, handler(judge, max_concurrent=4)):
        async with asyncio.timeout(LATE * SWEPT_S):
            await scene.until("select exists (select from pgmq.a_tasks where msg_id = $1)", second)
        await scene.db.execute("update pgmq.q_tasks set vt = clock_timestamp() where msg_id = $1", first)
        await scene.until("select not exists (select from pgmq.q_tasks)")
    assert judge.most == {"a": 1}
    assert await scene.account() == Account(completed=2)
    assert not await scene.db.fetch(LEFT)
