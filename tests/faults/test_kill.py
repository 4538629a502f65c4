"""A worker's process is killed (SIGKILL) at every step from claim to settlement: what was written stays
written, what was not is done again by another worker, and each lost attempt is on record.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from postmill.model.events import Event
from tests.faults.account import Account
from tests.faults.handlers import WaitingHandler, handler
from tests.faults.processes import die_at_the_gate, worker_process
from tests.service.running import running

if TYPE_CHECKING:
    from tests.faults.scene import Scene

kinds = pytest.mark.parametrize(
    ("kind", "options", "count"), [("plain", {}, 1), ("batch", {"batch": 3}, 3)], ids=["one", "three"]
)
"""One message at a time, and three in one claim, one call and one settlement."""

outcomes = pytest.mark.parametrize(
    ("outcome", "table"),
    [("complete", "pgmq.a_tasks"), ("retry", "postmill.failures"), ("dead", "postmill.dead_letters")],
)
"""Each outcome, and a table that its statement inserts into."""


@kinds
@pytest.mark.parametrize(
    ("point", "ran", "crashed"),
    [
        ("before it announces itself", 1, False),
        ("before the claim is sent", 1, False),
        ("after the claim, before the handler", 1, True),
        ("after the handler, before its outcome is noted", 2, True),
        ("before the outcome is sent", 2, True),
        ("after the outcome is written", 1, False),
    ],
)
async def test_killed_between_two_steps(
    scene: Scene,
    monkeypatch: pytest.MonkeyPatch,
    kind: str,
    options: dict[str, Any],
    count: int,
    point: str,
    ran: int,
    crashed: bool,
) -> None:
    await scene.send(count)
    with worker_process(scene.url, kind=kind, point=point, **options) as victim:
        await victim.stopped()
        victim.kill()
        await scene.left_for_dead(victim.pid)
    assert await scene.finish(monkeypatch) == Account(
        completed=count, failures={"crash": count} if crashed else {}
    )
    assert await scene.runs() == [ran] * count


@kinds
async def test_killed_in_the_handler(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, kind: str, options: dict[str, Any], count: int
) -> None:
    await scene.send(count, stop=True)
    with worker_process(scene.url, kind=kind, **options) as victim:
        await victim.stopped()
        victim.kill()
        await scene.left_for_dead(victim.pid)
    assert await scene.finish(monkeypatch) == Account(completed=count, failures={"crash": count})
    assert await scene.runs() == [2] * count


@kinds
@pytest.mark.parametrize("commits", [False, True])
async def test_killed_while_its_claim_is_on_the_way(
    scene: Scene,
    monkeypatch: pytest.MonkeyPatch,
    kind: str,
    options: dict[str, Any],
    count: int,
    commits: bool,
) -> None:
    """A claim that commits after its worker was stopped for ever is a claim for nobody. It waits until the
    test has done its part: a claim ends by itself after a tenth of a second's wait for a lock.
    """
    await scene.send(count)
    await scene.shut_gate("postmill.claims", holds=True)
    with worker_process(scene.url, kind=kind, **options) as victim:
        await die_at_the_gate(scene, victim, commits=commits)
        await scene.left_for_dead(victim.pid)
    assert await scene.finish(monkeypatch) == Account(
        completed=count, failures={"crash": count} if commits else {}
    )
    assert await scene.runs() == [1] * count


@kinds
@outcomes
@pytest.mark.parametrize("commits", [False, True])
async def test_killed_while_its_settlement_is_on_the_way(
    scene: Scene,
    monkeypatch: pytest.MonkeyPatch,
    kind: str,
    options: dict[str, Any],
    count: int,
    outcome: str,
    table: str,
    commits: bool,
) -> None:
    """Whether it committed is all that counts; that nobody read the answer changes nothing."""
    await scene.send(count, outcome=outcome)
    await scene.shut_gate(table, holds=True)
    with worker_process(scene.url, kind=kind, **options) as victim:
        await die_at_the_gate(scene, victim, commits=commits)
        await scene.left_for_dead(victim.pid)
    ended = {"dead": count} if outcome == "dead" else {"completed": count}
    first = {"complete": {}, "retry": {"error": count}, "dead": {"error": count}}[outcome]
    again = {"crash": count, **({"error": count} if outcome == "dead" else {})}
    expected = first if commits else again
    assert await scene.finish(monkeypatch) == Account(**ended, failures=expected)
    assert await scene.runs() == [1 if commits and outcome != "retry" else 2] * count


@pytest.mark.parametrize("commits", [False, True])
async def test_killed_while_its_handlers_transaction_commits(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, commits: bool
) -> None:
    """What the handler wrote and the end of its message are one: exactly once, on either side of the kill."""
    await scene.send()
    await scene.shut_gate("pgmq.a_tasks", at_commit=True, holds=True)
    with worker_process(scene.url, kind="transaction") as victim:
        await die_at_the_gate(scene, victim, commits=commits)
        await scene.left_for_dead(victim.pid)
    account = await scene.finish(monkeypatch, "transaction")
    assert account == Account(completed=1, failures={} if commits else {"crash": 1})
    assert await scene.db.fetchval("select count(*) from effects") == 1


async def test_killed_inside_its_handlers_transaction(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    await scene.send(stop=True)
    with worker_process(scene.url, kind="transaction") as victim:
        await victim.stopped()
        victim.kill()
        await scene.left_for_dead(victim.pid)
    assert await scene.finish(monkeypatch, "transaction") == Account(completed=1, failures={"crash": 1})
    assert await scene.db.fetchval("select count(*) from effects") == 1


@pytest.mark.parametrize("commits", [False, True])
async def test_killed_while_it_rescues(scene: Scene, monkeypatch: pytest.MonkeyPatch, commits: bool) -> None:
    """A rescue is one transaction: half done, it is not done, and the next worker does it."""
    await scene.send(stop=True)
    with worker_process(scene.url) as victim:
        await victim.stopped()
        victim.kill()
        await scene.left_for_dead(victim.pid)
    await scene.shut_gate("postmill.failures", holds=True)
    with worker_process(scene.url, rescues_at_once=True) as rescuer:
        await die_at_the_gate(scene, rescuer, commits=commits)
        await scene.left_for_dead(rescuer.pid)
    assert await scene.finish(monkeypatch) == Account(completed=1, failures={"crash": 1})
    assert await scene.runs() == [2]


async def test_who_is_started_in_its_place_takes_over(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """At its start and once more: its next regular sign of life would be too late."""
    await scene.send(stop=True)
    with worker_process(scene.url) as victim:
        await victim.stopped()
        victim.kill()
    monkeypatch.setattr("postmill.model.queue.silence.beat_s", lambda *_, **__: 3600.0)
    monkeypatch.setattr("postmill.engine.maintain.heartbeat.PERIOD_S", 3600.0)
    async with running(scene.url, handler("plain")):
        await scene.until("select not exists (select from pgmq.q_tasks)")
    assert await scene.account() == Account(completed=1, failures={"crash": 1})
    assert await scene.runs() == [2]


async def test_killed_while_it_renews_its_leases(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    await scene.send(hang=True)
    with worker_process(scene.url, point="before it renews its leases", visibility_timeout=1) as victim:
        await victim.stopped()
        victim.kill()
        await scene.left_for_dead(victim.pid)
    account = await scene.finish(monkeypatch)
    assert account.completed == 1
    assert account.lost == account.doubled == account.claims == account.queued == 0
    assert await scene.runs() == [2]


async def test_a_worker_that_was_taken_for_dead_takes_nothing_from_its_successor(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It wakes up and writes its outcome while the next attempt runs: that one alone counts."""
    await scene.send()
    successor = WaitingHandler()
    with worker_process(scene.url, point="before the outcome is sent", visibility_timeout=10) as sleeper:
        await sleeper.stopped()
        await scene.silent()
        async with scene.survivor(monkeypatch, handler(successor)) as run:
            await scene.until("select count(*) = 2 from runs")
            sleeper.go_on()
            sleeper.end()
            assert await sleeper.exited() == 0
            assert await scene.account() == Account(queued=1, claims=1, failures={"lost_lease": 1})
            successor.released.set()
            await run.until(Event.MESSAGE_COMPLETED)
    assert await scene.account() == Account(completed=1, failures={"lost_lease": 1})


@pytest.mark.parametrize(
    ("point", "ran"),
    [
        ("after the claim, before the handler", 1),
        ("after the handler, before its outcome is noted", 2),
        ("before the outcome is sent", 2),
    ],
)
async def test_a_worker_that_was_taken_for_dead_settles_nothing(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, point: str, ran: int
) -> None:
    """It slept through its rescue. What it then writes carries a token that has passed."""
    await scene.send()
    with worker_process(scene.url, point=point, visibility_timeout=10) as sleeper:
        await sleeper.stopped()
        await scene.silent()
        account = await scene.finish(monkeypatch)
        assert account == Account(completed=1, failures={"lost_lease": 1})
        assert await scene.runs() == [ran]
        sleeper.go_on()
        sleeper.end()
        assert await sleeper.exited() == 0
    assert await scene.account() == account
