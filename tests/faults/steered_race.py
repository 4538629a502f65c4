"""A race of graph flows whose runs are cancelled, paused, resumed, retried and forked all the while."""

from __future__ import annotations

import random
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import psycopg

from postmill.sql.catalog import queue_statement, statement
from tests.faults.flow_race import QUEUE, FlowRace, Settler, settle
from tests.sql.asking import column, rows, value

if TYPE_CHECKING:
    from tests.faults.protocol import Database

ACTIONS = ("cancel", "pause", "pause", "resume", "resume", "retry", "retry", "fork")
HOSTAGE = (
    f"insert into pgmq.q_{QUEUE} (vt, message) values (now() + interval '1 day', '{{}}') returning msg_id"
)
YOUNGEST = 40
"""Runs that are steered: the last that were started, most of which go on."""
REFUSALS = {"PM009", "PM012"}
"""A run has ended, or does not go on, since it was chosen."""


@dataclass
class SteeredRace(FlowRace):
    """What takes part, and what steering came to."""

    actions: tuple[str, ...] = ACTIONS
    done: dict[str, int] = field(default_factory=lambda: dict.fromkeys(ACTIONS, 0))
    deadlocks: int = 0

    @property
    def has_seen_enough(self) -> bool:
        """See :class:`FlowRace`: each action was done."""
        return all(self.done[action] for action in self.actions)

    def settler(self) -> Settler:
        """See :class:`FlowRace`."""
        return SteeredSettler(self)

    def steer_for(self, seconds: float, settlers: int, *others: Any) -> None:
        """Steer and settle at once for so long, and until each action was done."""
        hostage = value(self.db, HOSTAGE)  # a race ends when its queue is empty
        self.run(0, *[settle] * settlers, steer, steer, *others, most_s=seconds)
        self.db.execute(f"delete from pgmq.q_{QUEUE} where msg_id = $1".encode(), [hostage])

    def let_end(self, settlers: int) -> None:
        """Let whatever is paused or was cancelled go on, until every run has come to its end."""
        for action, state in (("resume", "paused"), ("retry", "cancelled")):
            statement = (
                "select count(*) from postmill.steer_runs($1, state => $2, dry_run => false, most => 10000)"
            )
            value(self.db, statement, action, state)
        self.over = False
        self.run(0, *[settle] * settlers)

    def mistakes(self) -> list[str]:
        """Runs that came to something else than the interpreter says; steps and runs that were completed or
        skipped twice. A retried run may fail twice, and does again what was undone.
        """
        told = [each for each in super().mistakes() if not each.endswith("ended twice")]
        twice = (
            "select run_id, step, state from public.ends where state in ('completed', 'skipped') "
            "group by run_id, step, state having count(*) > 1"
        )
        return told + [f"{row} ended twice" for row in rows(self.db, twice) if not self._may_repeat(row)]

    def _may_repeat(self, row: dict[str, Any]) -> bool:
        graph = self.runs[row["run_id"]]
        return row["step"] is not None and any(graph.compensates(each.name) for each in graph.shape.steps)


FATES = {"paused": "step_hold", "running": "run"}
FATES_OF_UNDOING = {"undoing": "run", "failed": "run"}
"""What a worker does with a task by its run's state; else it drops it."""


class SteeredSettler(Settler):
    """A worker that holds the tasks of paused runs, and drops those of runs that have ended."""

    def _run(self, claimed: list[dict[str, Any]]) -> list[tuple[dict[str, Any], Any]]:
        states = self._states(claimed)
        fates: dict[str, list[dict[str, Any]]] = {"step_hold": [], "step_drop": [], "run": []}
        for task in claimed:
            state = states.get((task["message"]["run"], task["message"]["step"]), "running")
            fates[
                FATES_OF_UNDOING.get(state, "step_drop")
                if "undo" in task["message"]
                else FATES.get(state, "step_drop")
            ].append(task)
        for name in ("step_hold", "step_drop"):
            if fates[name]:
                time.sleep(random.uniform(0, 0.01))  # meanwhile the run may be steered
                self._put_away(name, fates[name])
        return super()._run(fates["run"])

    def _states(self, claimed: list[dict[str, Any]]) -> dict[tuple[int, str], str]:
        pairs = sorted({(each["message"]["run"], each["message"]["step"]) for each in claimed})
        given = [[run for run, _ in pairs], [step for _, step in pairs], []]
        known = self.db.execute(statement("step_inputs").encode(), given).fetchall()
        return {(each["run_id"], each["step"]): each["run_state"] for each in known}

    def _put_away(self, name: str, tasks: list[dict[str, Any]]) -> None:
        messages = [task["message"] for task in tasks]
        places = [[each.get(part) for each in messages] for part in ("run", "step", "item")]
        more: list[Any] = [*places, ["paused"] * len(tasks)] if name == "step_hold" else []
        text = queue_statement(name, self.shape)
        self.db.execute(text.encode(), [*self.token(tasks), QUEUE, *more])


def steer(race: FlowRace) -> None:
    """The body of a thread that steers runs at random. A session that is ended comes again."""
    assert isinstance(race, SteeredRace)
    db = None
    while not race.over:
        try:
            if db is None:
                db = race.connect()
                db.execute(b"set application_name = 'settler'")
            run, action = random.choice(list(race.runs)[-YOUNGEST:]), random.choice(race.actions)
            race.done[action] += _steered(race, db, run, action)
        except psycopg.errors.DeadlockDetected:
            race.deadlocks += 1
        except psycopg.OperationalError:
            if db is not None and not db.closed:
                raise
            db = None
        except psycopg.DatabaseError as error:
            if error.sqlstate not in REFUSALS:
                raise
        time.sleep(random.uniform(0, 0.004))


def _steered(race: SteeredRace, db: Database, run: int, action: str) -> bool:
    """Do it; whether anything was done."""
    if action != "fork":
        return bool(value(db, f"select postmill.{action}_run($1)", run))
    graph = race.runs[run]
    with db.transaction():  # before a settler can meet it, the race knows whose run it is
        (made,) = column(db, "select postmill.fork_run($1, $2)", run, random.choice(graph.shape.steps).name)
        race.runs[made] = graph
    return True
