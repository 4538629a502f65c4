"""A settlement claims, for the worker that settles, tasks of what begins with it."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID

import pytest

from postmill.engine.settle.settlement import array_literal
from postmill.model.queue.queue_name import QueueShape
from postmill.sql.catalog import queue_statement
from tests.sql.asking import row, rows, value
from tests.sql.flow_scene import map_over, register, start, step, tasks

if TYPE_CHECKING:
    from tests.sql.asking import Database

WORKER = UUID(int=7)
LEASE = timedelta(minutes=5)
CLAIM = (
    "update pgmq.q_shop set vt = clock_timestamp() + interval '1 minute', read_ct = read_ct + 1"
    " where vt <= now()"
    " returning msg_id, read_ct, (extract(epoch from vt) * 1000000)::bigint as vt_us, message"
)


def settled(
    db: Database,
    output: Any = None,
    *more: str,
    room: int = 10,
    max_bytes: int = 10**6,
    times: int = 1,
) -> dict[str, Any]:
    """Claim what is due, and settle it with the statement that claims; ``more``: further flags of it."""
    taken = sorted(rows(db, CLAIM), key=lambda each: each["msg_id"])
    tokens = [array_literal(each[part] for each in taken) for part in ("msg_id", "read_ct", "vt_us")]
    places = [[each["message"].get(part) for each in taken] for part in ("run", "step", "item")]
    shape = QueueShape("shop", value(db, "select 'pgmq.q_shop'::regclass::oid::bigint"))
    text = queue_statement("step_settle", shape, "claiming", "claiming_and_read", *more)
    outputs = [json.dumps(output)] * len(taken)
    arguments = (*tokens, [], [], "shop", *places, outputs, room, LEASE, max_bytes, WORKER)
    return [row(db, text, *arguments) for _ in range(times)][-1]


def leased(db: Database) -> list[str]:
    """The steps whose tasks are claimed."""
    found = rows(db, "select message ->> 'step' as step from pgmq.q_shop where read_ct = 1 order by msg_id")
    return [each["step"] for each in found]


def test_what_begins_is_claimed_as_by_any_claim(db: Database) -> None:
    reads = {"x": {"of": "a", "path": ["n"], "as": "out"}}
    register(db, step("a"), step("b", "a", reads=reads))
    run = start(db)
    answer = settled(db, {"n": 5}, "given")
    (message,) = rows(db, "select * from pgmq.q_shop")
    claim = row(db, "select * from postmill.claims")
    assert message["message"] == {"run": run, "flow": "shop", "step": "b"}
    assert message["vt"] == answer["now"] + LEASE
    assert (message["read_ct"], message["last_read_at"]) == (1, answer["now"])
    assert (claim["worker_id"], claim["queue_name"]) == (WORKER, "shop")
    assert (claim["msg_ids"], claim["read_cts"]) == ([message["msg_id"]], [1])
    assert answer["claim_id"] == claim["claim_id"]
    assert answer["vt_us"] == round(message["vt"].timestamp() * 10**6)
    assert (answer["msg_ids"], answer["read_cts"]) == ([message["msg_id"]], [1])
    assert [json.loads(each) for each in answer["messages"]] == [message["message"]]
    (told,) = json.loads(answer["given"])
    assert (told["run_id"], told["step"], told["inputs"]) == (run, "b", {"x": 5})
    assert (told["run_state"], told["step_state"], told["kind"]) == ("running", "started", "step")


def test_what_waits_for_a_slot_is_told_nothing(db: Database) -> None:
    """It would ask again, as what it was told is old by then."""
    register(db, step("a"), step("b", "a"))
    start(db)
    answer = settled(db)
    assert (answer["read_cts"], answer["given"]) == ([1], None)


def test_no_more_than_there_is_room_for(db: Database) -> None:
    register(db, step("a"), step("b", "a"), step("c", "a"), step("d", "a"))
    start(db)
    settled(db, room=2)
    assert leased(db) == [task["step"] for task in tasks(db)][:2]


def test_no_more_than_so_many_bytes(db: Database) -> None:
    """The one that goes beyond is the last, as in a claim."""
    register(db, step("a"), map_over("m", "a"))
    start(db)
    answer = settled(db, ["x" * 100] * 5, max_bytes=200)
    assert len(answer["msg_ids"]) == 2
    assert len(leased(db)) == 2


def test_only_what_is_due_and_of_no_priority(db: Database) -> None:
    register(
        db, step("a"), step("later", "a"), step("now", "a"), step("urgent", "a"),
        later={"delay_s": 60}, urgent={"priority": 1},
    )  # fmt: skip
    start(db)
    settled(db)
    assert leased(db) == ["now"]


def test_nothing_while_the_queue_is_paused(db: Database) -> None:
    register(db, step("a"), step("b", "a"))
    start(db)
    db.execute(b"select postmill.pause('shop')")
    answer = settled(db)
    assert (answer["claim_id"], answer["msg_ids"], leased(db)) == (None, None, [])
    assert [task["step"] for task in tasks(db)] == ["b"]


def test_tasks_of_other_queues_are_sent_there(db: Database) -> None:
    register(db, step("a"), step("b", "a"), step("c", "a"), c={"queue": "other"})
    start(db)
    settled(db)
    assert leased(db) == ["b"]
    assert [task["step"] for task in tasks(db, "other")] == ["c"]


@pytest.mark.parametrize("wanted", ["cancel_run", "pause_run"])
def test_it_is_told_how_the_run_is(db: Database, wanted: str) -> None:
    register(db, step("a"), step("b", "a"))
    run = start(db)
    db.execute(f"select postmill.{wanted}($1)".encode(), [run])
    answer = settled(db, None, "given")
    told = [each["run_state"] for each in json.loads(answer["given"] or "[]")]
    assert told == {"cancel_run": [], "pause_run": ["paused"]}[wanted]


def test_a_settlement_that_is_sent_again_claims_nothing(db: Database) -> None:
    """Its answer was lost: the claim of the first one is found by the worker's next sign of life."""
    register(db, step("a"), step("b", "a"))
    start(db)
    again = settled(db, None, "given", times=2)
    assert (again["settled"], again["claim_id"], again["given"]) == ([], None, None)
    assert leased(db) == ["b"]
    assert value(db, "select count(*) from postmill.claims") == 1
