"""Settlers of graph flows that race: sessions that claim tasks in batches of any size, run them, and settle
them by the statements of the product; late ones, ended ones, and messages that are doubled or forged.
"""

from __future__ import annotations

import json
import random
import time
from dataclasses import dataclass, field
from threading import Thread
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import psycopg

from postmill.engine.settle.settlement import array_literal
from postmill.model.flow.interpreter import Died
from postmill.model.queue.queue_name import QueueShape
from postmill.sql.catalog import queue_statement, statement
from tests.faults.flow_graphs import INPUTS
from tests.sql.asking import column, rows, value

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tests.faults.flow_graphs import Graph
    from tests.faults.protocol import Database

QUEUE = "race"
CLAIM = f"""
with claimed as (
    update pgmq.q_{QUEUE} as q
       set vt = clock_timestamp() + $2::float8 * interval '1 second', read_ct = q.read_ct + 1
     where q.msg_id = any (array(select msg_id from pgmq.q_{QUEUE} where vt <= clock_timestamp()
                                  order by msg_id limit $1 for update skip locked))
    returning q.msg_id, q.read_ct, (extract(epoch from q.vt) * 1000000)::bigint as vt_us, q.message
), receipt as (
    insert into postmill.claims (worker_id, queue_name, msg_ids, read_cts)
    select $3, '{QUEUE}', array_agg(msg_id), array_agg(read_ct) from claimed having count(*) > 0
    returning claim_id
)
select claimed.*, claim_id from claimed cross join receipt order by msg_id
"""
NOTES = """
create table public.ends (run_id bigint, step text, state text);
create function public.note_end() returns trigger language plpgsql as $$
begin
    if new.state in ('completed', 'failed', 'skipped', 'cancelled')
       and (tg_op = 'INSERT' or old.state is distinct from new.state) then
        insert into public.ends values (new.run_id, to_jsonb(new) ->> 'step', new.state);
    end if;
    return new;
end $$;
create trigger note_end after insert or update on postmill.steps
for each row execute function public.note_end();
create trigger note_end after insert or update on postmill.runs
for each row execute function public.note_end();
"""
"""Each time that a step or a run has come to an end."""


@dataclass
class FlowRace:
    """What takes part."""

    db: Database
    connect: Callable[[], Database]
    graphs: Sequence[Graph]
    lease_s: float = 0.5
    batches: tuple[int, ...] = (1, 2, 5, 20, 60)
    meddling: float = 0.0
    """How often a claim is lost, a settler is late, or a message is doubled or forged."""
    runs: dict[int, Graph] = field(default_factory=dict)
    failures: list[BaseException] = field(default_factory=list)
    killed: int = 0
    settled: int = 0
    over: bool = False

    def start(self, runs_of_each: int) -> None:
        """Register the graphs and start runs of them."""
        self.db.execute(NOTES.encode())
        register = "select postmill.register_flow($1, 'graph', $2, $3::jsonb, $4::jsonb)"
        start = "select postmill.start_flow($1, $2::jsonb) from generate_series(1, $3::integer)"
        for graph in self.graphs:
            chosen = json.dumps({name: each.as_json() for name, each in graph.chosen.items()})
            value(self.db, register, graph.name, QUEUE, json.dumps(graph.shape.as_json()), chosen)
            for run_id in column(self.db, start, graph.name, json.dumps(INPUTS), runs_of_each):
                self.runs[run_id] = graph

    @property
    def has_seen_enough(self) -> bool:
        """Whether all has happened that has to, however slow the machine is: until then it goes on."""
        return True

    def settler(self) -> Settler:
        """A session that settles."""
        return Settler(self)

    def run(self, settlers: int, *others: Callable[[FlowRace], None], most_s: float = 60.0) -> None:
        """Until the queue is empty, something has gone wrong, or it takes too long. What meddlers send at the
        last moment is done by one settler, in peace.
        """
        bodies = [*[settle] * settlers, *others]
        threads = [Thread(target=self._guarded, args=[body]) for body in bodies]
        for thread in threads:
            thread.start()
        until = time.monotonic() + most_s
        while not self.failures and value(self.db, f"select exists (select from pgmq.q_{QUEUE})"):
            if time.monotonic() > until and self.has_seen_enough:
                break
            time.sleep(0.02)
        self.over = True
        for thread in threads:
            thread.join()
        if self.failures:
            raise self.failures[0]
        self.meddling = 0.0
        last = Settler(self)
        while time.monotonic() < until and value(self.db, f"select exists (select from pgmq.q_{QUEUE})"):
            last.turn()

    def _guarded(self, body: Callable[[FlowRace], None]) -> None:
        try:
            body(self)
        except BaseException as error:  # told by run()
            self.failures.append(error)

    def mistakes(self) -> list[str]:
        """Runs that came to something else than the interpreter says, and ends that came twice."""
        states = "select run_id, state, culprit, leaves_left from postmill.runs order by run_id"
        found = [wrong for row in rows(self.db, states) for wrong in self._wrong(row)]
        twice = "select run_id, step from public.ends group by run_id, step having count(*) > 1"
        found += [f"{row} ended twice" for row in rows(self.db, twice)]
        if value(self.db, f"select exists (select from pgmq.q_{QUEUE})"):
            found.append("messages are left")
        return found

    def _wrong(self, row: dict[str, Any]) -> list[str]:
        graph = self.runs[row["run_id"]]
        expected = graph.end()
        known = {each["step"]: each for each in rows(self.db, STEPS, row["run_id"])}
        where = f"run {row['run_id']} of {graph.name}"
        if row["state"] != expected.state:
            return [f"{where} is {row['state']}, not {expected.state}: {known}"]
        wrong = []
        if row["state"] == "failed":
            if row["culprit"] not in expected.culprits:
                wrong.append(f"{where}: {row['culprit']} is none of {expected.culprits}")
        elif row["leaves_left"] or known.keys() != expected.steps.keys():
            wrong.append(f"{where} lacks steps")
        for name, step in known.items():
            if step["state"] in {"waiting", "started"} and row["state"] == "failed":
                continue
            end = expected.steps.get(name)
            errors = [{"item": item, "reason": reason} for item, reason in end.errors] if end else []
            if (
                end is None
                or (step["state"], step["output"]) != (end.state, end.output)
                or (end.state == "completed" and step["errors"] != errors)
            ):
                wrong.append(f"{where}: {step}, not {end}")
            undoes = row["state"] == "failed" and graph.compensates(name) and step["state"] == "completed"
            dies = graph.undo(name) is not None
            if (step["undone"], step["not_undone"]) != (undoes and not dies, undoes and dies):
                wrong.append(f"{where}: {step} and its undoing")
        return wrong


STEPS = """
select step, state, postmill._output(s) as output, postmill._partial(s) -> 'errors' as errors,
       undone_at is not null as undone, coalesce(reason like 'not undone: %', false) as not_undone
  from postmill.steps as s where run_id = $1
"""


DROPPED = object()
"""Nothing is to be done for a task: no such step has begun."""
KILL = """
select pg_terminate_backend(pid) from pg_stat_activity
 where datname = current_database() and application_name = 'settler'
 order by state = 'active' desc, random() limit 1
"""


class Settler:
    """A worker: a session, an id, and the way in which it settles."""

    def __init__(self, race: FlowRace) -> None:
        self.race = race
        self.id = uuid4()
        self.db = race.connect()
        self.db.execute(b"set application_name = 'settler'")
        relation = value(self.db, f"select 'pgmq.q_{QUEUE}'::regclass::oid::bigint")
        self.shape = QueueShape(QUEUE, relation)

    def turn(self) -> bool:
        """Claim, run, settle. Whether there was anything."""
        race = self.race
        claimed = rows(self.db, CLAIM, random.choice(race.batches), race.lease_s, self.id)
        if not claimed:
            return False
        if random.random() < race.meddling:
            return True  # it has died with its claim
        if random.random() < race.meddling:
            time.sleep(race.lease_s * 1.2)  # it is late: somebody else has the messages
        if random.random() < race.meddling:
            self._forge(claimed)
        ends: dict[str, list[tuple[dict[str, Any], Any]]] = {}
        for task, answer in self._run(claimed):
            kind = "undo" if "undo" in task["message"] else "step"
            end = "fail" if isinstance(answer, Died) else "settle"
            name = "step_drop" if answer is DROPPED else f"{kind}_{end}"
            ends.setdefault(name, []).append((task, answer))
        for name, pairs in ends.items():
            settled = self._settle(name, pairs)
            race.settled += len(settled)
        return True

    def _run(self, claimed: list[dict[str, Any]]) -> list[tuple[dict[str, Any], Any]]:
        """What each task gives, from what the database says that it is given."""
        pairs = sorted({(each["message"]["run"], each["message"]["step"]) for each in claimed})
        known = self.db.execute(
            statement("step_inputs").encode(), [[run for run, _ in pairs], [step for _, step in pairs], []]
        ).fetchall()
        known = [each for each in known if each["step_state"] in {"started", "completed"}]
        inputs = {(each["run_id"], each["step"]): json.loads(each["inputs"]) for each in known}
        done = []
        for task in claimed:
            message = task["message"]
            run, step = message["run"], message["step"]
            if (run, step) not in inputs:
                done.append((task, DROPPED))
                continue
            if "undo" in message:
                done.append((task, self.race.runs[run].undo(step)))
                continue
            given = (step, message.get("item"), message.get("value"), inputs[run, step])
            done.append((task, self.race.runs[run].perform(*given)))
        return done

    def _settle(self, name: str, pairs: list[tuple[dict[str, Any], Any]]) -> list[int]:
        tasks = [task for task, _ in pairs]
        messages = [task["message"] for task in tasks]
        places = [[each[part] for each in messages] for part in ("run", "step")]
        items = [each.get("item") for each in messages]
        arguments = self.token(tasks)
        if name in {"step_settle", "step_fail"}:
            places.append(items)
        if name == "step_drop":
            arguments += [QUEUE]
        elif name == "step_settle":
            arguments += [QUEUE, *places, [json.dumps(answer) for _, answer in pairs]]
        elif name == "undo_settle":
            arguments += [QUEUE, *places]
        else:
            many, reasons = len(pairs), [answer.reason for _, answer in pairs]
            failure = [[1] * many, ["error"] * many, [None] * many, reasons, [None] * many, [0.0] * many]
            arguments += [QUEUE, self.id, reasons, *failure, *places]
        row = self.db.execute(queue_statement(name, self.shape).encode(), arguments).fetchone()
        assert row is not None
        settled: list[int] = row["settled"]
        return settled

    def token(self, tasks: list[dict[str, Any]]) -> list[Any]:
        """What proves that these tasks are still this worker's."""
        token = [array_literal([task[part] for task in tasks]) for part in ("msg_id", "read_ct", "vt_us")]
        return [*token, sorted({task["claim_id"] for task in tasks}), []]

    def _forge(self, claimed: list[dict[str, Any]]) -> None:
        """Double a message, and send some that nothing has asked for."""
        real = random.choice(claimed)["message"]
        if real["run"] not in self.race.runs:
            return
        step = random.choice(self.race.runs[real["run"]].shape.steps).name
        forged = [
            real,
            {"run": real["run"], "step": step},
            {"run": real["run"], "step": step, "item": 99},
            {"run": real["run"], "step": step, "item": -1},
            {"run": real["run"], "step": step, "undo": True},
            {"run": real["run"], "step": "no such step"},
            {"run": 10**9, "step": step},
        ]
        inserting = f"insert into pgmq.q_{QUEUE} (vt, message) select clock_timestamp(), unnest($1::jsonb[])"
        self.db.execute(inserting.encode(), [[json.dumps(each) for each in forged]])


def settle(race: FlowRace) -> None:
    """The body of a settler's thread. A session that is ended comes again."""
    settler = None
    while not race.over:
        try:
            settler = settler or race.settler()
            if not settler.turn():
                time.sleep(0.003)
        except psycopg.OperationalError:
            if settler is not None and not settler.db.closed:
                raise  # it was not ended, but refused
            race.killed += 1
            settler = None


def kill(race: FlowRace) -> None:
    """End sessions of settlers."""
    db = race.connect()
    while not race.over:
        time.sleep(random.uniform(0.05, 0.2))
        rows(db, KILL)
