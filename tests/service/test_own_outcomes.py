"""An outcome that a handler has added, with a statement of its own: it settles, waits, is kept, judged and
reported as the engine's outcomes are.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import pytest

from postmill import Retry, Worker, worker
from postmill.engine.settle.settlement import Settling, Settlings, leases
from postmill.engine.settle.statements import OWN
from postmill.model.errors import InvalidOption
from postmill.model.events import Event
from postmill.model.queue.outcome import COMPLETED, Completed
from postmill.sql.catalog import scripts
from tests.service.running import finished, running

if TYPE_CHECKING:
    from postmill.engine.settle.settlement import Settlement, Statements

PARK = """
with
{tokens}
put as (
    update {queue} as q
       set vt = clock_timestamp() + interval '1 year'
{still_held}
    returning q.msg_id
),
{settled_claims}
noted as (
    insert into parked (msg_id, note)
    select msg_id, note
      from put
      join unnest($1::text::bigint[], $6::text[]) as t (msg_id, note) using (msg_id)
)
select coalesce(array_agg(msg_id), '{{}}') as settled from put
"""
TABLE = "create table parked (msg_id bigint primary key, note text check (note <> 'forbidden'));"


@dataclass(frozen=True)
class Parked:
    """The message waits for something else than time."""

    note: str


class Shelved(Parked):
    """A user's own kind of it."""


class ParkedByError(Exception):
    """It can be raised as well."""

    note = "raised"


def park(statements: Statements, settlement: Settlement) -> tuple[str, tuple[Any, ...]]:
    text = PARK.format(queue=statements.shape.queue, **dict(scripts("parts")))
    return text, (*leases(settlement), [outcome.note for _, outcome in settlement.pairs])  # type: ignore[union-attr]


PARKING = Settling(
    kind="park",
    event=Event.MESSAGE_SNOOZED,
    build=park,
    details=lambda _message, outcome: {"note": outcome.note},
    diagnosis="reschedule",
)


def parking(**options: Any) -> Worker:
    """A worker that parks messages which have a note, and completes the others."""

    @worker(queue="tasks", **options)
    async def handle(payload: dict[str, str]) -> object:
        match payload:
            case {"note": "raised"}:
                raise ParkedByError
            case {"note": "shelved"}:
                return Shelved("shelved")
            case {"note": note}:
                return Parked(note)
        return None

    handle.settlings.update({Parked: PARKING, ParkedByError: PARKING})
    return handle


ENDS_ITS_SESSION_ONCE = """
create sequence tries;
create function cut() returns trigger language plpgsql as
$$ begin
   if nextval('tries') = 1 then perform pg_terminate_backend(pg_backend_pid()); perform pg_sleep(10); end if;
   return new;
end $$;
create trigger cut before insert on parked for each row execute function cut()
"""


async def test_it_settles_in_the_batch_of_the_others_and_is_reported(database_url: str) -> None:
    async with running(database_url, parking(), begin=False) as run:
        await run.db.execute(f"{TABLE} select pgmq.create('tasks')")
        for note in ("first", "shelved", "raised"):
            await run.send(f'{{"note": "{note}"}}')
        await run.send("{}")
        batches: list[tuple[str, list[int]]] = []
        run.engine.on_worker.append(
            lambda each: each.settler.on_settled.append(
                lambda settlement, ids: batches.append((settlement.kind, sorted(ids)))
            )
        )
        await run.engine.start()
        parked = await run.until(Event.MESSAGE_SNOOZED, count=3)
        await run.until(Event.MESSAGE_COMPLETED)
        assert {each["msg_id"]: each["note"] for each in parked} == {1: "first", 2: "shelved", 3: "raised"}
        assert sorted(batches) == [("complete", [4]), ("park", [1, 2, 3])]
        assert await run.account() == {"queue": 3, "archive": 1, "dead": 0, "claims": 0}
        assert (await run.count("parked"), await run.count("postmill.failures")) == (3, 0)


async def test_it_is_sent_again_after_an_outage(database_url: str) -> None:
    async with running(database_url, parking(), begin=False) as run:
        await run.db.execute(TABLE + ENDS_ITS_SESSION_ONCE)
        await run.engine.start()
        await run.send('{"note": "patient"}')
        await run.until(Event.MESSAGE_SNOOZED)
        assert len(run.events(Event.DATABASE_LOST)) == len(run.events(Event.DATABASE_BACK)) == 1
        assert await run.count("parked") == 1
        assert await run.account() == {"queue": 1, "archive": 0, "dead": 0, "claims": 0}


async def test_it_is_kept_while_the_database_refuses_every_one(database_url: str) -> None:
    # The table is not there: what the handler decided waits with its lease, and the handler runs once.
    async with running(database_url, parking()) as run:
        for note in ("one", "two"):
            await run.send(f'{{"note": "{note}"}}')
        (refusing,) = await run.until(Event.QUEUE_REFUSING)
        assert refusing["statement"] == "park"
        assert run.worker.settler.pending == 2
        assert await run.count("postmill.claims") >= 1
        await run.db.execute(TABLE)
        (accepting,) = await run.until(Event.QUEUE_ACCEPTING)
        await run.until(Event.MESSAGE_SNOOZED, count=2)
        assert accepting["statement"] == "park"
        assert (await run.count("parked"), await run.count("postmill.failures")) == (2, 0)
        await run.let_go()


async def test_one_that_its_row_does_not_allow_is_a_failed_attempt_and_spares_the_others(
    database_url: str,
) -> None:
    async with running(database_url, parking(retry=Retry.none), begin=False) as run:
        await run.db.execute(f"{TABLE} select pgmq.create('tasks')")
        for note in ("allowed", "forbidden", "allowed"):
            await run.send(f'{{"note": "{note}"}}')
        await run.engine.start()
        (dead,) = await run.until(Event.MESSAGE_DEAD)
        await run.until(Event.MESSAGE_SNOOZED, count=2)
        (refused,) = run.events(Event.SETTLEMENT_REFUSED)
        assert (refused["statement"], refused["follows"], dead["msg_id"]) == ("park", "a dead letter", 2)
        assert await run.account() == {"queue": 2, "archive": 0, "dead": 1, "claims": 0}


async def test_a_class_that_is_not_added_is_a_result(database_url: str) -> None:
    handle = parking()
    handle.settlings.clear()
    async with running(database_url, handle) as run:
        await run.send('{"note": "plain"}')
        assert await finished(run, 1) == {"queue": 0, "archive": 1, "dead": 0, "claims": 0}


def test_a_kind_of_the_engines_can_not_be_taken() -> None:
    for wrong in (replace(PARKING, kind="complete"), replace(PARKING, diagnosis="parking")):
        with pytest.raises(InvalidOption):
            Settlings(OWN, {Parked: wrong})


def test_an_added_class_below_an_engine_class_is_found_before_it() -> None:
    class Forwarded(Completed):
        """Completed by another statement."""

    settlings = Settlings(OWN, {Forwarded: PARKING})
    assert settlings.find(Forwarded()) is PARKING
    assert settlings.find(COMPLETED).kind == "complete"
    assert [settlings.is_added(each) for each in (Forwarded(), COMPLETED, None)] == [True, False, False]
