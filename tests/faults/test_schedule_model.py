"""What a schedule does in any order of ticks, outages and ends, against a few lines of plain Python."""

from __future__ import annotations

import random
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from postmill.db.hot.outage import is_passing
from postmill.db.hot.shared_connection import SharedConnection
from postmill.model.config.address import Address
from postmill.scheduler.scheduler import Scheduler
from postmill.service.events import Events
from postmill.service.outage import Outage
from tests.faults.test_schedules import CLOCK

if TYPE_CHECKING:
    import asyncpg

START = datetime(2026, 10, 24, 22, tzinfo=UTC)
EVERY = {"20 seconds": 20, "* * * * *": 60, "*/5 * * * *": 300, "@hourly": 3600}
"""Schedules whose ticks are counted from START, and the seconds between two."""
STEPS_S = (1, 7, 20, 29, 31, 60, 299, 301, 3599)
JITTER = timedelta(seconds=90)
PUNCTUAL_S = 30


@dataclass
class Model:
    """One schedule, as the docs tell it."""

    every_s: int
    overlap: str
    catch_up: str
    next_s: int = 0
    open_tick: int | None = None
    """The tick whose message is the last one sent, while that is not done."""
    runs: list[tuple[int, str, int | None]] = field(default_factory=list)
    """Each tick with its status, and the tick for whose message its own waits."""

    def __post_init__(self) -> None:
        self.next_s = self.every_s

    def reach(self, now_s: int) -> None:
        """The clock shows ``now_s``, and a scheduler has looked."""
        ticks = list(range(self.next_s, now_s + 1, self.every_s))
        if not ticks:
            return
        self.next_s = ticks[-1] + self.every_s
        if self.catch_up != "all":
            ticks = ticks[-1:]
        if self.catch_up == "none" and now_s - ticks[-1] > PUNCTUAL_S:
            ticks = []
        for tick in ticks:
            self._fire(tick)

    def _fire(self, tick: int) -> None:
        if self.overlap == "skip" and self.open_tick is not None:
            self.runs.append((tick, "skipped", None))
            return
        self.runs.append((tick, "sent", self.open_tick if self.overlap == "queue" else None))
        self.open_tick = tick


RUNS = """
    select s.name, run.tick, run.status, source.tick as waits_for,
           run.due_at between run.tick and run.tick + s.jitter as in_time
      from postmill.schedules as s
      join (select run.*, coalesce(blocked.due_at, q.vt) as due_at
              from postmill.schedule_runs as run
              left join (select msg_id, vt from pgmq.q_ticks union all select msg_id, vt from pgmq.a_ticks)
                as q using (msg_id)
              left join noted as blocked using (msg_id)) as run using (schedule_id)
      left join noted on noted.msg_id = run.msg_id
      left join postmill.schedule_runs as source on source.msg_id = noted.source_id
     order by s.name, run.tick
"""
NOTED = """
    create table noted (msg_id bigint primary key, due_at timestamptz, source_id bigint);
    create function note() returns trigger language plpgsql as $$ begin
        insert into public.noted select b.msg_id, b.due_at, e.source_id
        from postmill.blocked as b
        join postmill.edges as e on e.target_queue = b.queue_name and e.target_id = b.msg_id
        on conflict do nothing;
        return null; end $$;
    create trigger note after insert on postmill.blocked for each statement execute function note();
"""


async def scheduled(adb: asyncpg.Connection, models: dict[str, Model]) -> None:
    for name, model in models.items():
        when = name.removesuffix(f" {model.overlap} {model.catch_up}")
        await adb.execute(
            "select postmill.schedule($1, $2, 'ticks', overlap => $3, catch_up => $4, jitter => $5)",
            *(name, when, model.overlap, model.catch_up, JITTER),
        )


@pytest.mark.parametrize(
    "seed",
    [
        0,
        pytest.param(1, marks=pytest.mark.slow),
        *(pytest.param(seed, marks=[pytest.mark.slow, pytest.mark.exhaustive]) for seed in (2, 3)),
    ],
)
async def test_it_does_what_a_model_of_it_does(database_url: str, adb: asyncpg.Connection, seed: int) -> None:
    rng = random.Random(seed)
    await adb.execute(CLOCK)
    await adb.execute(NOTED)
    await adb.execute("select postmill.create_queue('ticks')")
    models = {
        f"{when} {overlap} {catch_up}": Model(every_s, overlap, catch_up)
        for when, every_s in EVERY.items()
        for overlap in ("skip", "queue", "allow")
        for catch_up in ("none", "one", "all")
    }
    await scheduled(adb, models)
    shared, events = SharedConnection(Address(database_url), "schedules"), Events()
    scheduler = Scheduler(shared, events, Outage(events, is_passing))
    while await scheduler.run_once():
        pass
    now_s = 0
    for _ in range(25):
        now_s += rng.choice(STEPS_S)
        await adb.execute("update clock set now = $1", START + timedelta(seconds=now_s))
        while await scheduler.run_once():
            pass
        for model in models.values():
            model.reach(now_s)
        if rng.random() < 0.3:
            await adb.execute("select pgmq.archive('ticks', array(select msg_id from pgmq.q_ticks))")
            for model in models.values():
                model.open_tick = None
    await shared.close()
    found = await runs(adb)
    for name, model in models.items():
        assert found[name] == model.runs, name


async def runs(adb: asyncpg.Connection) -> dict[str, list[tuple[int, str, int | None]]]:
    """What has been fired, as the model tells it."""
    found: dict[str, list[tuple[int, str, int | None]]] = defaultdict(list)
    for run in await adb.fetch(RUNS):
        assert run["status"] == "skipped" or run["in_time"], dict(run)
        source = None if run["waits_for"] is None else _second(run["waits_for"])
        found[run["name"]].append((_second(run["tick"]), run["status"], source))
    return found


def _second(tick: datetime) -> int:
    return int((tick - START).total_seconds())
