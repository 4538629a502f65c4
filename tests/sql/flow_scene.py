"""A flow in the database, and a worker's part in it by hand: tasks are taken and settled one by one."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from tests.sql.asking import Database, column, row, rows, value

if TYPE_CHECKING:
    from collections.abc import Sequence

QUEUE = "shop"


def step(name: str, *needs: str, **more: Any) -> dict[str, Any]:
    """One step of a shape."""
    return {"name": name, "needs": list(needs), **more}


def map_over(name: str, source: str, *needs: str, **more: Any) -> dict[str, Any]:
    """A map over the output of ``source``."""
    return step(name, source, *needs, kind="map", over={"of": source, "path": []}, **more)


def register(
    db: Database, *steps: dict[str, Any], flow: str = QUEUE, kind: str = "graph", **chosen: Any
) -> int:
    """Write the flow down; its queue has its name."""
    number: int = value(
        db,
        "select postmill.register_flow($1, $2, $1, $3::text::jsonb, $4::text::jsonb)",
        flow,
        kind,
        json.dumps({"steps": list(steps)}),
        json.dumps(chosen),
    )
    return number


def start(db: Database, given: Any = None, flow: str = QUEUE, **options: Any) -> int:
    """Start a run and return its id."""
    names = "".join(f", {name} => ${place}" for place, name in enumerate(options, 3))
    run: int = value(
        db,
        f"select postmill.start_flow($1, $2::text::jsonb{names})",
        flow,
        json.dumps(given),
        *options.values(),
    )
    return run


def tasks(db: Database, queue: str = QUEUE) -> list[dict[str, Any]]:
    """The messages of the queue, in order, without the name of the flow that each task of a step has."""
    return column(db, f"select message - 'flow' from pgmq.\"q_{queue}\" order by msg_id")


def take(db: Database, queue: str = QUEUE) -> list[dict[str, Any]]:
    """Take every message out of the queue, as a settlement does."""
    taken = rows(db, f"delete from pgmq.\"q_{queue}\" returning msg_id, message - 'flow' as message")
    return [each["message"] for each in sorted(taken, key=lambda each: each["msg_id"])]


def take_one(db: Database, queue: str = QUEUE) -> dict[str, Any]:
    """Take the only message out of the queue."""
    (task,) = take(db, queue)
    return task


def settle(db: Database, task: dict[str, Any], output: Any = None) -> None:
    """The task has succeeded."""
    db.execute(
        b"select postmill._settle_steps($1, $2, $3, $4)",
        [[task["run"]], [task["step"]], [task.get("item")], [json.dumps(output)]],
    )


def fail(db: Database, task: dict[str, Any], reason: str = "it broke") -> None:
    """The task has failed for good."""
    db.execute(
        b"select postmill._fail_steps($1, $2, $3, $4)",
        [[task["run"]], [task["step"]], [task.get("item")], [reason]],
    )


def refuse_input(db: Database, run: int, reason: str = "it does not fit") -> None:
    """The program finds that the run's input does not fit."""
    db.execute(b"select postmill._refuse_inputs($1, $2)", [[run], [reason]])


def hold(db: Database, task: dict[str, Any], why: str, msg_id: int | None = None) -> None:
    """A worker can't run the task now, which was this message of the queue."""
    db.execute(
        b"select postmill._hold_tasks($1, $2, $3, $4::text[]::jsonb[], $5, $6, $7)",
        [[task["run"]], [task.get("step")], [task.get("item")], [json.dumps(task)], [why], [msg_id], QUEUE],
    )


def finish(db: Database, queue: str = QUEUE, **outputs: Any) -> None:
    """Settle whatever comes, until nothing does."""
    while taken := take(db, queue):
        for task in taken:
            settle(db, task, outputs.get(task["step"], task.get("value", task["step"])))


def run_of(db: Database, run: int) -> dict[str, Any]:
    """The run as people see it."""
    return row(db, "select * from postmill.run_list where run_id = $1", run)


def state(db: Database, run: int) -> str:
    """The run's state."""
    return str(run_of(db, run)["state"])


def steps(db: Database, run: int) -> dict[str, str]:
    """The state of each step, as people see it."""
    found = rows(db, "select step, state from postmill.run_steps where run_id = $1 order by place, step", run)
    return {each["step"]: each["state"] for each in found}


def outputs(db: Database, run: int) -> dict[str, Any]:
    """What each completed step has given."""
    found = rows(
        db,
        "select step, postmill._output(s) as output from postmill.steps s"
        " where run_id = $1 and state = 'completed'",
        run,
    )
    return {each["step"]: each["output"] for each in found}


def make(db: Database, wanted: str, *, flow: str = QUEUE) -> int:
    """A run of a flow of steps ``a`` and ``b`` in this state."""
    register(db, step("a"), step("b", "a"), flow=flow)
    run = start(db, flow=flow)
    first = take(db, flow)[-1]
    actions: dict[str, Sequence[str]] = {
        "cancelled": ["select postmill.cancel_run($1)"],
        "paused": ["select postmill.pause_run($1)"],
        "undoing": ["update postmill.runs set state = 'undoing' where run_id = $1"],
    }
    if wanted == "completed":
        settle(db, first)
        finish(db, flow)
    elif wanted == "failed":
        fail(db, first)
    for statement in actions.get(wanted, []):
        db.execute(statement.encode(), [run])
    return run
