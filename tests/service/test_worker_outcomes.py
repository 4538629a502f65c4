"""How an attempt can end, and where the message is afterwards: each message is in exactly one place."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from postmill import Completed, Context, Dead, Retry, Snooze, worker
from postmill.model.events import Event
from tests.service.running import finished, running

AT_ONCE = Retry.fixed(0, max_attempts=3)


async def failures(run: Any) -> list[dict[str, Any]]:
    rows = await run.db.fetch("select * from postmill.failures order by failure_id")
    return [dict(row) for row in rows]


@pytest.mark.parametrize(("on_success", "archived"), [("archive", 5), ("delete", 0)])
async def test_completed_messages_are_archived_or_deleted(
    database_url: str, on_success: str, archived: int
) -> None:
    seen: list[int] = []

    @worker(on_success=on_success)
    async def handle(number: int) -> None:
        seen.append(number)

    async with running(database_url, handle) as run:
        for number in range(5):
            await run.send(str(number))
        assert await finished(run, 5) == {"queue": 0, "archive": archived, "dead": 0, "claims": 0}
    assert sorted(seen) == [0, 1, 2, 3, 4]


async def test_attempts_are_counted_and_the_last_failure_ends_in_a_letter(database_url: str) -> None:
    attempts: list[int] = []

    @worker(retry=AT_ONCE)
    async def handle(payload: dict[str, Any], ctx: Context) -> None:
        attempts.append(ctx.attempt)
        raise ValueError(f"no {ctx.attempt}")

    async with running(database_url, handle) as run:
        msg_id = await run.send('{"a": 1}')
        assert await finished(run, 1) == {"queue": 0, "archive": 0, "dead": 1, "claims": 0}
        assert run.ends(msg_id) == [Event.MESSAGE_RETRYING, Event.MESSAGE_RETRYING, Event.MESSAGE_DEAD]
        recorded = await failures(run)
        letter = await run.db.fetchrow("select * from postmill.dead_letters")
    assert attempts == [1, 2, 3]
    assert [(row["attempt"], row["kind"], row["error_type"], row["error_message"]) for row in recorded] == [
        (1, "error", "ValueError", "no 1"),
        (2, "error", "ValueError", "no 2"),
        (3, "error", "ValueError", "no 3"),
    ]
    assert "in handle" in recorded[0]["traceback"]
    assert all(row["started_at"] <= row["failed_at"] for row in recorded)
    assert (letter["attempts"], letter["kind"], letter["reason"]) == (
        3,
        "error",
        "failed 3 of 3 attempts: ValueError: no 3",
    )


@pytest.mark.parametrize("limit", [0, 2])
async def test_retry_limit_counts_what_follows_the_first_attempt(database_url: str, limit: int) -> None:
    """As Edge Worker counts: 0 turns repetitions off."""
    attempts: list[int] = []

    @worker(retryDelay=0, retryLimit=limit)
    async def handle(payload: dict[str, Any], ctx: Context) -> None:
        attempts.append(ctx.attempt)
        raise ValueError

    async with running(database_url, handle) as run:
        await run.send("{}")
        assert await finished(run, 1) == {"queue": 0, "archive": 0, "dead": 1, "claims": 0}
    assert attempts == [*range(1, limit + 2)]


async def test_retry_delay_is_the_time_until_the_next_attempt(database_url: str) -> None:
    @worker(retryDelay=3000)
    async def handle(payload: dict[str, Any]) -> None:
        raise ValueError

    async with running(database_url, handle) as run:
        await run.send("{}")
        await run.until(Event.MESSAGE_RETRYING)
        ahead = "extract(epoch from q.vt - f.failed_at) from pgmq.q_tasks as q, postmill.failures as f"
        assert 2990 < await run.db.fetchval(f"select {ahead}") < 3010


async def test_a_replayed_letter_runs_again_from_its_first_attempt(database_url: str) -> None:
    attempts: list[int] = []

    @worker(retry=Retry.none)
    async def handle(payload: dict[str, Any], ctx: Context) -> None:
        attempts.append(ctx.attempt)
        if len(attempts) == 1:
            raise ValueError

    async with running(database_url, handle) as run:
        await run.send("{}")
        await run.until(Event.MESSAGE_DEAD)
        await run.db.execute("select postmill.replay('tasks')")
        await run.until(Event.MESSAGE_COMPLETED)
        assert (await run.account())["archive"] == 1
    assert attempts == [1, 1]


async def test_snoozing_is_no_attempt(database_url: str) -> None:
    attempts: list[int] = []

    @worker(retry=Retry.none)
    async def handle(payload: dict[str, Any], ctx: Context) -> None:
        attempts.append(ctx.attempt)
        if len(attempts) < 4:
            raise Snooze(0.01)

    async with running(database_url, handle) as run:
        msg_id = await run.send("{}")
        assert await finished(run, 1) == {"queue": 0, "archive": 1, "dead": 0, "claims": 0}
        assert run.ends(msg_id) == [Event.MESSAGE_SNOOZED] * 3 + [Event.MESSAGE_COMPLETED]
        assert await failures(run) == []
    assert attempts == [1, 1, 1, 1]


async def test_retry_after_says_when(database_url: str) -> None:
    @worker(retry=Retry.fixed(3000, max_attempts=2))
    async def handle(payload: dict[str, Any], ctx: Context) -> None:
        raise Retry("not yet", after=0.01)

    async with running(database_url, handle) as run:
        await run.send("{}")
        assert (await finished(run, 1))["dead"] == 1  # the policy's limit of attempts holds
        assert [row["error_message"] for row in await failures(run)] == ["not yet", "not yet"]


@pytest.mark.parametrize(
    ("outcome", "end"),
    [
        (Dead("no more"), Event.MESSAGE_DEAD),
        (Snooze(3000), Event.MESSAGE_SNOOZED),
        (Retry(after=3000), Event.MESSAGE_RETRYING),
    ],
)
@pytest.mark.parametrize("raised", [True, False])
async def test_outcomes_may_be_raised_or_returned(
    database_url: str, outcome: Exception, end: Event, raised: bool
) -> None:
    @worker
    async def handle(payload: dict[str, Any]) -> Any:
        if raised:
            raise outcome
        return outcome

    async with running(database_url, handle) as run:
        msg_id = await run.send("{}")
        await run.until(end)
        assert run.ends(msg_id) == [end]
        account = await run.account()
    dead = int(end == Event.MESSAGE_DEAD)
    assert account == {"queue": 1 - dead, "archive": 0, "dead": dead, "claims": 0}


async def test_the_rule_of_an_exception_holds_past_the_policys_own_limit(database_url: str) -> None:
    """Three attempts in general, five for a lost connection: the fourth was refused because of the three."""
    attempts: list[int] = []

    @worker(retry=Retry.fixed(0, 3).on(ConnectionError, use=Retry.fixed(0, 5)))
    async def handle(payload: dict[str, Any], ctx: Context) -> None:
        attempts.append(ctx.attempt)
        raise ConnectionResetError("gone")

    async with running(database_url, handle) as run:
        await run.send("{}")
        assert (await finished(run, 1))["dead"] == 1
    assert attempts == [1, 2, 3, 4, 5]


async def test_a_rule_of_ones_own_decides(database_url: str) -> None:
    def rule(attempt: int, error: BaseException) -> float | Dead:
        return Dead("enough") if attempt == 2 else 0.0

    @worker(retry=rule)
    async def handle(payload: dict[str, Any]) -> None:
        raise ValueError

    async with running(database_url, handle) as run:
        await run.send("{}")
        assert (await finished(run, 1))["dead"] == 1
        assert await run.db.fetchval("select reason from postmill.dead_letters") == "enough"


@pytest.mark.parametrize("trouble", [ValueError("no"), SystemExit(3)])
async def test_a_rule_that_raises_costs_a_minute_not_the_message(
    database_url: str, trouble: BaseException
) -> None:
    def rule(attempt: int, error: BaseException) -> float:
        raise trouble

    @worker(retry=rule)
    async def handle(payload: dict[str, Any]) -> None:
        raise ValueError

    async with running(database_url, handle) as run:
        await run.send("{}")
        (retrying,) = await run.until(Event.MESSAGE_RETRYING)
        assert retrying["in_s"] == 60
        assert len(run.events(Event.HOOK_FAILED)) == 1


class Unspeakable(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no text")


@pytest.mark.parametrize(
    "error",
    [
        KeyboardInterrupt("k"),
        SystemExit(3),
        GeneratorExit("g"),
        BaseException("b"),
        StopIteration("s"),
        asyncio.CancelledError("own"),
        Unspeakable(),
        Dead(5),  # type: ignore[arg-type]
        ValueError("nul \x00 lone \ud800 end"),
        ValueError("x" * 1_000_000),
    ],
    ids=lambda error: type(error).__name__,
)
@pytest.mark.parametrize("how", ["async", "thread"])
async def test_whatever_a_handler_raises_is_a_recorded_failure(
    database_url: str, error: BaseException, how: str
) -> None:
    async def in_loop(payload: dict[str, Any]) -> None:
        if payload:
            raise error

    def in_thread(payload: dict[str, Any]) -> None:
        if payload:
            raise error

    handler = worker(retry=Retry.none)(in_loop if how == "async" else in_thread)
    async with running(database_url, handler) as run:
        await run.send('{"fail": true}')
        assert await finished(run, 1) == {"queue": 0, "archive": 0, "dead": 1, "claims": 0}
        (failure,) = await failures(run)
        await run.send("{}")  # the worker works on
        assert (await finished(run, 2))["archive"] == 1
    assert failure["kind"] == "error"
    assert len(failure["error_message"]) <= 8_000


async def test_results_are_kept(database_url: str) -> None:
    @worker(keep_results=True)
    async def handle(payload: list[int]) -> Any:
        return {"sum": sum(payload), 3: None}

    async with running(database_url, handle) as run:
        msg_id = await run.send("[1, 2]")
        await run.until(Event.MESSAGE_COMPLETED)
        row = await run.db.fetchrow("select * from postmill.results")
    assert (row["queue_name"], row["msg_id"], row["result"]) == ("tasks", msg_id, '{"3": null, "sum": 3}')


@pytest.mark.parametrize(
    "result", [object(), {"a": {1, 2}}, "nul \x00", float, 2**70], ids=["object", "set", "nul", "type", "big"]
)
async def test_a_result_that_can_not_be_kept_fails_nobody(database_url: str, result: object) -> None:
    @worker(keep_results=True)
    async def handle(number: int) -> Any:
        return result if number == 1 else number

    async with running(database_url, handle) as run:
        await run.db.execute("select pgmq.send_batch('tasks', array['0', '1', '2']::jsonb[])")
        account = await finished(run, 3)
        kept = await run.db.fetch("select result from postmill.results order by msg_id")
        assert len(run.events(Event.RESULT_NOT_KEPT)) == 1
    assert account == {"queue": 0, "archive": 3, "dead": 0, "claims": 0}
    assert [row["result"] for row in kept] == ["0", "2"]


async def test_a_crashed_attempt_counts(database_url: str) -> None:
    """A worker that died twice with a message: the third attempt is the last."""
    attempts: list[int] = []

    @worker(retry=Retry.fixed(0, 3))
    async def handle(payload: dict[str, Any], ctx: Context) -> None:
        attempts.append(ctx.attempt)
        raise ValueError

    async with running(database_url, handle) as run:
        await run.db.execute("select postmill.pause('tasks')")
        await run.until(Event.QUEUE_PAUSED)
        msg_id = await run.send("{}")
        await run.db.execute(
            "insert into postmill.failures (queue_name, msg_id, attempt, kind)"
            " select 'tasks', $1, n, 'crash' from generate_series(1, 2) as n",
            msg_id,
        )
        await run.db.execute("update pgmq.q_tasks set read_ct = 2")
        await run.db.execute("select postmill.resume('tasks')")
        assert (await finished(run, 1))["dead"] == 1
        assert [row["kind"] for row in await failures(run)] == ["crash", "crash", "error"]
    assert attempts == [3]


async def test_a_message_that_crashed_too_often_is_not_run_again(database_url: str) -> None:
    attempts: list[int] = []

    @worker(retry=Retry.fixed(0, 3))
    async def handle(payload: dict[str, Any], ctx: Context) -> None:
        attempts.append(ctx.attempt)

    async with running(database_url, handle) as run:
        await run.db.execute("select postmill.pause('tasks')")
        await run.until(Event.QUEUE_PAUSED)
        msg_id = await run.send("{}")
        await run.db.execute(
            "insert into postmill.failures (queue_name, msg_id, attempt, kind)"
            " select 'tasks', $1, n, 'crash' from generate_series(1, 3) as n",
            msg_id,
        )
        await run.db.execute("update pgmq.q_tasks set read_ct = 3")
        await run.db.execute("select postmill.resume('tasks')")
        assert await finished(run, 1) == {"queue": 0, "archive": 0, "dead": 1, "claims": 0}
        letter = await run.db.fetchrow("select kind, reason, attempts from postmill.dead_letters")
        assert len(await failures(run)) == 3
    assert attempts == []
    assert tuple(letter) == ("exhausted", "failed 3 of 3 attempts", 3)


async def test_being_read_by_other_clients_is_no_attempt(database_url: str) -> None:
    attempts: list[int] = []

    @worker(retry=Retry.none)
    async def handle(payload: dict[str, Any], ctx: Context) -> None:
        attempts.append(ctx.attempt)

    async with running(database_url, handle) as run:
        await run.db.execute("select postmill.pause('tasks')")
        await run.until(Event.QUEUE_PAUSED)
        await run.send("{}")
        for _ in range(30):
            await run.db.execute("select * from pgmq.read('tasks', 0, 1)")
        await run.db.execute("select postmill.resume('tasks')")
        assert (await finished(run, 1))["archive"] == 1
    assert attempts == [1]


class RateLimited(Snooze):
    """A well-made extension."""

    def __init__(self, api: str) -> None:
        super().__init__(3000, f"the limit of {api}")


class Gone(Dead):
    def __init__(self) -> None:
        super().__init__("gone for good")


class Busy(Retry):
    def __init__(self) -> None:
        super().__init__("busy", after=3000)


class Noted(Completed):
    """An extension of a value."""


class Declined(Dead):
    """Forgets to call its parent, as every one of these."""

    def __init__(self, code: int) -> None:
        self.code = code


class Later(Snooze):
    def __init__(self, code: int) -> None:
        self.code = code


class Again(Retry):
    def __init__(self, code: int) -> None:
        self.code = code


class Mute(Dead):
    """Raises from whatever is asked of it."""

    def __init__(self) -> None:
        pass

    @property
    def reason(self) -> str:  # type: ignore[override]
        raise SystemExit(3)

    def __str__(self) -> str:
        raise RuntimeError("no text")


class Endless(Snooze):
    def __init__(self) -> None:
        self.after_s = float("nan")


@pytest.mark.parametrize("raised", [True, False])
@pytest.mark.parametrize(
    ("outcome", "end", "told"),
    [
        (RateLimited("maps"), Event.MESSAGE_SNOOZED, {"in_s": 3000}),
        (Busy(), Event.MESSAGE_RETRYING, {"in_s": 3000}),
        (Gone(), Event.MESSAGE_DEAD, {"reason": "gone for good"}),
        (Declined(7), Event.MESSAGE_DEAD, {"reason": "7"}),
        (Mute(), Event.MESSAGE_DEAD, {"reason": "(its text can't be shown)"}),
        (Again(7), Event.MESSAGE_RETRYING, {"in_s": 60}),
        (Later(7), Event.MESSAGE_RETRYING, {"in_s": 60, "kind": "error"}),
        (Endless(), Event.MESSAGE_RETRYING, {"in_s": 60, "kind": "error"}),
    ],
    ids=lambda value: type(value).__name__,
)
async def test_outcomes_are_for_users_to_extend(
    database_url: str, outcome: Exception, end: Event, told: dict[str, object], raised: bool
) -> None:
    """A subclass fell through: "completed" was said, and the message ran again at the end of each lease."""

    @worker(retry=Retry.fixed(60, 2))
    async def handle(payload: dict[str, Any]) -> Any:
        if payload and raised:
            raise outcome
        return outcome if payload else None

    async with running(database_url, handle) as run:
        msg_id = await run.send('{"odd": 1}')
        (fields,) = await run.until(end)
        assert {name: fields[name] for name in told} == told
        assert run.ends(msg_id) == [end]
        await run.send("{}")  # the worker works on
        await run.until(Event.MESSAGE_COMPLETED)
        dead = int(end == Event.MESSAGE_DEAD)
        assert await run.account() == {"queue": 1 - dead, "archive": 1, "dead": dead, "claims": 0}
        snoozed = end == Event.MESSAGE_SNOOZED
        assert len(await failures(run)) == (0 if snoozed else 1)


async def test_an_extension_of_completed_is_completed(database_url: str) -> None:
    @worker(keep_results=True)
    async def handle(payload: dict[str, Any]) -> Any:
        return Noted(3)

    async with running(database_url, handle) as run:
        await run.send("{}")
        assert (await finished(run, 1))["archive"] == 1
        assert await run.db.fetchval("select result from postmill.results") == "3"


async def test_a_limit_that_was_lowered_meanwhile_leaves_the_last_failure_on_the_letter(
    database_url: str,
) -> None:
    """The letter said "failed 3 of 2 attempts" and not of what, and the event counted one attempt more."""
    posted: list[Any] = []

    async def on_dead(letter: Any) -> None:
        posted.append(letter)

    @worker(retry=Retry.fixed(0, 2), on_dead=on_dead)
    async def handle(payload: dict[str, Any]) -> None:
        raise AssertionError("it is not run again")

    async with running(database_url, handle) as run:
        await run.db.execute("select postmill.pause('tasks')")
        await run.until(Event.QUEUE_PAUSED)
        msg_id = await run.send("{}")
        await run.db.execute(
            "insert into postmill.failures"
            " (queue_name, msg_id, attempt, kind, error_type, error_message, traceback)"
            " select 'tasks', $1, n, kind, 'ValueError', 'no ' || n, 'in line ' || n"
            " from unnest(array['error', 'error', 'error', 'lost_lease']) with ordinality as t (kind, n)",
            msg_id,
        )
        await run.db.execute("update pgmq.q_tasks set read_ct = 4")
        await run.db.execute("select postmill.resume('tasks')")
        (said,) = await run.until(Event.MESSAGE_DEAD)
        letter = await run.db.fetchrow(
            "select attempts, kind, reason, error_type, traceback from postmill.dead_letters"
        )
    reason = "failed 3 attempts, and 2 are allowed: ValueError: no 3"
    assert tuple(letter) == (3, "exhausted", reason, "ValueError", "in line 3")
    assert (said["attempt"], said["kind"], said["reason"]) == (3, "exhausted", reason)
    (hooked,) = posted
    assert (hooked.attempts, hooked.reason, hooked.error_message) == (3, reason, "no 3")
