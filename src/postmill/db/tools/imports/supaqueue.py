"""Brings the queues, workers and jobs of the real Supaqueue into call queues.

In this database the jobs are moved, all in one transaction: a job that is deleted takes its dependencies
with it, and so nothing may be left half-way. From another one they are copied in batches, and
``postmill.imported`` says which, and as which messages. A job is sent after all that it waits for.
"""

from __future__ import annotations

import json
from collections import Counter
from contextlib import nullcontext
from dataclasses import dataclass, field
from itertools import groupby
from typing import TYPE_CHECKING, Any

from psycopg import sql

from postmill.db.tools import calls, operations
from postmill.db.tools.imports.order import arranged
from postmill.db.tools.imports.report import LEFT_BEHIND, Line
from postmill.db.tools.imports.source import SourceTable, source_at, table
from postmill.model.functions import slug
from postmill.model.queue.queue_name import RULE
from postmill.sql.catalog import statement

if TYPE_CHECKING:
    from collections.abc import Iterator

    from postmill.db.tools.connect import Connection
    from postmill.db.tools.imports.source import Source

Row = dict[str, Any]

MAX_ATTEMPTS = 3
"""The most attempts of a job. 3: so many are written into Supaqueue's functions."""
TIMEOUT_S = 60.0
"""The time limit of a call, in seconds. 60 s, as a call queue has by default: Supaqueue has none."""
NO_WORKERS = "it has no worker in supaqueue.worker"
"""Why a queue without workers is paused. The facade supaqueue knows it by the same words."""
_TABLES = {
    "queue": frozenset({"id", "created_at", "edge_function_name", "default_headers", "name"}),
    "job": frozenset({"id", "created_at", "queue", "payload", "attempts", "status", "updated_at"}),
    "worker": frozenset({"id", "queue"}),
}
_HINT = "Give the schema in which Supaqueue's own tables are: --schema NAME."
_STATUS = {
    "in_progress": "in progress: let it end, or set it to pending",
    "null": "held back: its status is null",
}
_DONE = {"job": "sent to the queue", "job_dependencies": "waits for the message of its source"}
_USED_UP = "its attempts are used up"


@dataclass(frozen=True, slots=True)
class _Import:
    """A Supaqueue on its way into the queues of a database."""

    connection: Connection
    source: Source
    schema: str
    """Quoted for SQL text."""
    jobs: SourceTable

    def rows(self, name: str, *values: object, moving: bool = False) -> list[Row]:
        text = statement(name, *(("moving",) if moving else ()))
        return self.source.rows(text.replace("{schema}", self.schema), *values)

    def marks(self, ids: list[str]) -> dict[str, str]:
        """What these jobs have become, as ``queue:id``."""
        found = self.connection.execute(statement("import_marks"), (self.jobs.mark, ids))
        return {row["key"]: row["ref"] for row in found}


@dataclass(slots=True)
class _Plan:
    """What is to be done."""

    queues: dict[str, Row]
    """By their ids there; ``why`` says why one is left."""
    levels: list[list[str]]
    """Jobs, of which each waits for jobs of earlier levels only."""
    queue_of: dict[str, str]
    """The name of each job's queue."""
    sources: dict[str, list[str]]
    left: Counter[tuple[str, str]] = field(default_factory=Counter)
    """How many jobs of a queue are left for one reason."""

    def batches(self, page: int) -> Iterator[tuple[str, list[str]]]:
        """Jobs of one queue and one level."""
        for level in self.levels:
            level.sort(key=self.queue_of.__getitem__)
            for queue, found in groupby(level, key=self.queue_of.__getitem__):
                ids = list(found)
                for start in range(0, len(ids), page):
                    yield queue, ids[start : start + page]


def planned(connection: Connection, schema: str, url: str | None) -> list[Line]:
    """What a run would do with the Supaqueue in ``schema`` of the database at ``url`` (None: of this one).

    Raises :class:`NotFound` and :class:`Refused`.
    """
    with source_at(connection, url) as source:
        plan = _plan(_found(connection, source, schema), moving=False)
        count: Counter[tuple[str, str]] = Counter()
        for level in plan.levels:
            for job in level:
                count["job", plan.queue_of[job]] += 1
                count["job_dependencies", plan.queue_of[job]] += len(plan.sources.get(job, ()))
        return _lines(plan, "to do", count)


def run(connection: Connection, schema: str, url: str | None, *, page: int) -> list[Line]:
    """Move or copy, and say what was done and what is left. Raises as :func:`planned`."""
    with source_at(connection, url) as source, connection.transaction() if source.is_here else nullcontext():
        work = _found(connection, source, schema)
        if source.is_here:
            connection.execute(statement("import_lock"), (work.jobs.mark,))
        plan = _plan(work, moving=source.is_here)
        for queue in plan.queues.values():
            if not queue["why"]:
                _make(connection, queue)
        done: Counter[tuple[str, str]] = Counter()
        for name, ids in plan.batches(page):
            after = _send(work, plan, name, ids)
            done["job", name] += len(after)
            done["job_dependencies", name] += sum(map(len, after))
            plan.left[name, LEFT_BEHIND] += len(ids) - len(after)
        return _lines(plan, "done", done)


def _found(connection: Connection, source: Source, schema: str) -> _Import:
    quoted = sql.Identifier(schema).as_string(source.connection)
    tables = {
        name: table(source, f"{quoted}.{name}", columns, "a table of Supaqueue's", hint=_HINT)
        for name, columns in _TABLES.items()
    }
    return _Import(connection, source, quoted, tables["job"])


def _plan(work: _Import, *, moving: bool) -> _Plan:
    queues = _queues(work)
    # A queue may come between two looks at another database: its jobs are for the next run.
    jobs = [job for job in work.rows("import_supaqueue_jobs", moving=moving) if job["queue"] in queues]
    queue_of = {job["id"]: queues[job["queue"]]["name"] for job in jobs}
    left = {job["id"]: _USED_UP for job in jobs if job["attempts"] >= MAX_ATTEMPTS}
    left |= {job["id"]: "its queue is left" for job in jobs if queues[job["queue"]]["stays"]}
    sources = _sources(work)
    levels, left = arranged(queue_of, sources, left)
    imported = work.marks(list(queue_of))
    plan = _Plan(
        queues, [[job for job in level if job not in imported] for level in levels], queue_of, sources
    )
    plan.left.update((queue_of[job], why) for job, why in left.items())
    for row in work.rows("import_supaqueue_others"):
        if row["queue"] in queues:
            why = _STATUS.get(row["status"], f"ended: {row['status']}")
            plan.left[queues[row["queue"]]["name"], why] += row["jobs"]
    return plan


def _queues(work: _Import) -> dict[str, Row]:
    """Supaqueue's queues by their ids, each with ``why`` when it is not made, and whether it ``stays``."""
    known = {row["name"]: row["callee"] for row in work.connection.execute(statement("import_call_queues"))}
    found = work.rows("import_supaqueue_queues")
    names = Counter(row["name"] for row in found)
    for row in found:
        row["why"] = _why_left(row, names, known)
        row["stays"] = bool(row["why"])
        if not row["why"] and row["name"] in known:
            row["why"] = "is there already, and stays as it is"
    return {row["id"]: row for row in found}


def _why_left(queue: Row, names: Counter[str], known: dict[str, str | None]) -> str:
    name = queue["name"]
    if not RULE.fullmatch(name):
        return "no name that a queue can have: give it another one there"
    if names[name] > 1:
        return "several queues have this name: give them different ones there"
    if not slug.RULE.fullmatch(queue["function"]):
        return "no name that a function can have"
    if queue["method"] != "POST":
        return f"its calls are {queue['method']}, and those of a call queue are POST"
    if name in known and known[name] != queue["function"]:
        return "there is a queue of this name that does not call this function"
    return ""


def _sources(work: _Import) -> dict[str, list[str]]:
    """What each job waits for; nothing where Supaqueue's add-on for that is not installed."""
    name = f"{work.schema}.job_dependencies"
    found: dict[str, list[str]] = {}
    if work.source.rows(statement("import_table"), name):
        for row in work.rows("import_supaqueue_dependencies"):
            found.setdefault(row["target"], []).append(row["source"])
    return found


def _make(connection: Connection, queue: Row) -> None:
    """A limit is at least one: without any worker the queue is paused, before anything is sent to it."""
    name, workers = queue["name"], queue["workers"]
    with connection.transaction():
        calls.create_queue(
            connection,
            name,
            queue["function"],
            None,
            queue["headers"],
            max(workers, 1),
            MAX_ATTEMPTS,
            TIMEOUT_S,
        )
        if workers == 0:
            operations.pause(connection, name, NO_WORKERS)


def _send(work: _Import, plan: _Plan, queue: str, ids: list[str]) -> list[list[str]]:
    """One batch in one transaction; returns what each message that was sent waits for. A job that Supaqueue
    has begun meanwhile is not sent, and neither is one that waits for such a job.
    """
    with work.connection.transaction():
        work.connection.execute(statement("import_lock"), (work.jobs.mark,))
        given = (work.jobs.mark, ids)
        new = {row["key"] for row in work.connection.execute(statement("import_new_keys"), given)}
        jobs = work.rows("import_supaqueue_payloads", [each for each in ids if each in new], work.jobs.name)
        refs = work.marks(sorted({each for job in jobs for each in plan.sources.get(job["id"], ())}))
        ready = [job for job in jobs if all(each in refs for each in plan.sources.get(job["id"], ()))]
        after = [[refs[each] for each in plan.sources.get(job["id"], ())] for job in ready]
        if ready:
            _write(work, queue, ready, after)
    return after


def _write(work: _Import, queue: str, jobs: list[Row], after: list[list[str]]) -> None:
    ids, payloads, headers = ([job[name] for job in jobs] for name in ("id", "payload", "headers"))
    refs = [json.dumps(each) if each else None for each in after]
    work.connection.execute(
        statement("import_supaqueue_send"), (work.jobs.mark, queue, payloads, headers, refs, ids)
    )
    if work.source.is_here:
        work.connection.execute(statement("import_supaqueue_remove").replace("{schema}", work.schema), (ids,))


def _lines(plan: _Plan, outcome: str, count: Counter[tuple[str, str]]) -> list[Line]:
    queues = [
        Line("queue", each["name"], "left" if each["why"] else outcome, 1, each["why"] or _made(each))
        for each in plan.queues.values()
    ]
    done = [
        Line(kind, name, outcome, number, _DONE[kind]) for (kind, name), number in count.items() if number
    ]
    left = [Line("job", name, "left", number, why) for (name, why), number in plan.left.items() if number]
    return queues + done + left


def _made(queue: Row) -> str:
    return f"a call queue of the function {queue['function']} with {queue['workers']} workers"
