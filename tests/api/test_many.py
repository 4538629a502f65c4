"""Operations and errors over the API."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from postmill.db.tools import many
from tests.api.test_queues import READER

if TYPE_CHECKING:
    import httpx
    import psycopg

    Db = psycopg.Connection[dict[str, Any]]


async def test_an_operation_is_planned_started_done_and_looked_at(api: httpx.AsyncClient, db: Db) -> None:
    db.execute("select postmill.create_queue('mail')")
    db.execute("select postmill.send('mail', '{}', delay => '1 hour') from generate_series(1, 5)")
    planned = await api.post("/queues/mail/operation-plan", json={"kind": "cancel"})
    assert planned.json() == {"matching": 5, "upper_id": "5", "complete": True, "search": None}
    assert (await api.get("/operations")).json()["items"] == []
    started = await api.post("/queues/mail/operations", json={"kind": "cancel"})
    assert (started.status_code, started.json()["expected"]) == (201, 5)
    number = started.json()["operation_id"]
    while many.take_page(db, int(number)) is not None:
        pass
    shown = (await api.get(f"/operations/{number}")).json()
    assert (shown["state"], shown["done"]) == ("done", 5)
    page = (await api.get(f"/operations/{number}/rows?limit=3")).json()
    rest = (await api.get(f"/operations/{number}/rows", params={"cursor": page["next"]})).json()
    assert [row["id"] for row in page["items"] + rest["items"]] == ["1", "2", "3", "4", "5"]
    assert {row["outcome"] for row in rest["items"]} == {"cancelled"}
    assert (await api.get("/operations?running=true")).json()["items"] == []
    (row,) = db.execute("select action, affected from postmill.audit").fetchall()
    assert (row["action"], row["affected"]) == ("operation.start", 5)


@pytest.mark.parametrize(
    "of",
    [
        {"filter": {"payload": {"password": "x"}}},
        {"filter": {"payload": {"a": [{"API-Key": ""}]}}},
        {"filter": {"headers": {"cookie": "c"}}},
        {"filter": {"words": ["x"]}},
        {"search": "payload.password=x"},
        {"search": 'payload.a="[{\\"API-Key\\": 1}]"'},
        {"search": "a-text"},
    ],
)
async def test_a_reader_can_not_guess_a_secret_by_counting(
    api: httpx.AsyncClient, db: Db, of: dict[str, Any]
) -> None:
    """A secret that is redacted was found by trial: one was counted when it was right."""
    db.execute("select postmill.create_queue('mail')")
    asked = {"kind": "cancel", **of}
    answer = await api.post("/queues/mail/operation-plan", json=asked, headers=READER)
    assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")
    assert (await api.post("/queues/mail/operation-plan", json=asked)).status_code == 200
    plain = {"kind": "cancel", "filter": {"payload": {"user": 7}}}
    assert (await api.post("/queues/mail/operation-plan", json=plain, headers=READER)).status_code == 200


async def test_what_was_planned_is_started_and_nothing_that_came_later(
    api: httpx.AsyncClient, db: Db
) -> None:
    db.execute("select postmill.create_queue('mail'), postmill.send('mail', '{}', delay => '1 hour')")
    planned = (await api.post("/queues/mail/operation-plan", json={"kind": "cancel"})).json()
    db.execute("select postmill.send('mail', '{}', delay => '1 hour')")
    counted = {"kind": "cancel", "upper_id": planned["upper_id"], "expected": planned["matching"]}
    started = (await api.post("/queues/mail/operations", json=counted)).json()
    while many.take_page(db, int(started["operation_id"])) is not None:
        pass
    shown = (await api.get(f"/operations/{started['operation_id']}")).json()
    assert (shown["expected"], shown["done"]) == (1, 1)
    assert db.execute("select msg_id from pgmq.q_mail").fetchall() == [{"msg_id": 2}]


async def test_an_operation_is_asked_for_by_a_search(api: httpx.AsyncClient, db: Db) -> None:
    """Its times are fixed by the plan: what it has counted is what is cancelled."""
    db.execute("select postmill.create_queue('mail'), postmill.create_queue('bulk')")
    for user in (7, 8):
        db.execute("select postmill.send('mail', $1::text::jsonb, delay => '1 hour')", (f'{{"u": {user}}}',))
    asked = {"kind": "move", "target": "bulk", "search": "state:scheduled since:1h payload.u=7"}
    planned = (await api.post("/queues/mail/operation-plan", json=asked)).json()
    assert planned["matching"] == 1
    assert planned["search"].startswith('state:scheduled since:"2')
    counted = {"upper_id": planned["upper_id"], "expected": 1, "search": planned["search"]}
    started = await api.post("/queues/mail/operations", json={**asked, **counted})
    assert (started.status_code, started.json()["target"]) == (201, "bulk")
    kept = started.json()["filter"]
    assert (kept["state"], kept["fields"]) == (["scheduled"], {"payload.u": "7"})
    assert kept["sent_since"][:10] in planned["search"]
    while many.take_page(db, int(started.json()["operation_id"])) is not None:
        pass
    assert db.execute("select message from pgmq.q_bulk").fetchall() == [{"message": {"u": 7}}]


@pytest.mark.parametrize(
    ("asked", "status", "says"),
    [
        ({"search": "worker:0198c"}, 400, "An operation can't be about worker:0198c."),
        ({"search": "state:dead"}, 400, "state:dead"),
        ({"search": "queue:bulk"}, 400, "queue:bulk"),
        ({"search": "stat:ready"}, 400, "character 1: stat:ready"),
        ({"search": "id:1", "filter": {"ids": [1]}}, 422, "Both"),
        ({"kind": "move"}, 400, "needs another queue"),
    ],
)
async def test_a_search_that_no_operation_can_carry_out_is_refused(
    api: httpx.AsyncClient, db: Db, asked: dict[str, Any], status: int, says: str
) -> None:
    db.execute("select postmill.create_queue('mail')")
    for path in ("operation-plan", "operations"):
        answer = await api.post(f"/queues/mail/{path}", json={"kind": "cancel", **asked})
        assert (answer.status_code, says in answer.json()["detail"]) == (status, True), answer.text
    assert db.execute("select from postmill.operations").fetchall() == []


async def test_a_secret_by_which_an_operator_searched_is_shown_to_no_reader(
    api: httpx.AsyncClient, db: Db
) -> None:
    db.execute("select postmill.create_queue('mail')")
    asked = {"kind": "cancel", "search": "payload.user.password=hunter2"}
    number = (await api.post("/queues/mail/operations", json=asked)).json()["operation_id"]
    for path in (f"/operations/{number}", "/operations", "/audit"):
        shown = await api.get(path, headers=READER)
        assert ("[redacted]" in shown.text, "hunter2" in shown.text) == (True, False), path


async def test_an_operation_is_aborted(api: httpx.AsyncClient, db: Db) -> None:
    db.execute("select postmill.create_queue('mail'), postmill.send('mail', '{}')")
    number = (await api.post("/queues/mail/operations", json={"kind": "cancel"})).json()["operation_id"]
    assert (await api.post(f"/operations/{number}/abort")).json()["state"] == "aborted"
    assert many.take_page(db, int(number)) is None
    assert (await api.get("/queues/mail")).json()["ready"] == 1
    assert (await api.post("/operations/99/abort")).status_code == 404
    assert (await api.get("/operations/99/rows")).status_code == 404


async def test_an_error_is_shown_and_decided_about(api: httpx.AsyncClient, db: Db) -> None:
    db.execute("select postmill.create_queue('mail')")
    db.execute(
        "insert into postmill.failures (queue_name, msg_id, attempt, kind, error_type, error_message)"
        " values ('mail', 1, 1, 'error', 'ValueError', 'order 17 is odd')"
    )
    (listed,) = (await api.get("/errors?queue=mail&open=true")).json()["items"]
    assert (listed["state"], listed["times"], listed["queues"]) == ("open", 1, ["mail"])
    path = f"/errors/{listed['fingerprint']}"
    (failure,) = (await api.get(path)).json()["failures"]
    assert (failure["msg_id"], failure["error_message"]) == ("1", "order 17 is odd")
    assert (await api.put(f"{path}/state", json={"state": "ignored"})).json()["state"] == "ignored"
    assert (await api.get("/errors?open=true")).json()["items"] == []
    assert (await api.put("/errors/0f0f/state", json={"state": "ignored"})).status_code == 404


async def test_what_failed_alike_is_tried_again(api: httpx.AsyncClient, db: Db) -> None:
    """A message that waits for its next attempt, and a dead one, each by an operation of its own."""
    db.execute("select postmill.create_queue('mail')")
    db.execute("select postmill.send('mail', '{}', delay => '1 hour')")
    db.execute(
        "insert into postmill.failures (queue_name, msg_id, attempt, kind, error_type, error_message)"
        " select 'mail', msg_id, 1, 'error', 'ValueError', 'odd' from generate_series(1, 2) as msg_id"
    )
    db.execute(
        "insert into postmill.dead_letters"
        " (queue_name, msg_id, read_ct, enqueued_at, message, attempts, kind, reason)"
        " values ('mail', 2, 1, now(), '{}', 1, 'error', 'odd')"
    )
    (listed,) = (await api.get("/errors")).json()["items"]
    answer = await api.post(f"/errors/{listed['fingerprint']}/retry", json={"per_second": 10})
    assert answer.status_code == 201
    items = answer.json()["items"]
    assert [(each["kind"], each["expected"], each["per_second"]) for each in items] == [
        ("retry", 1, 10),
        ("replay", 1, 10),
    ]
    (row,) = db.execute("select action, affected from postmill.audit").fetchall()
    assert (row["action"], row["affected"]) == ("error.retry", 2)
    assert (await api.post("/errors/0f0f/retry", json={})).status_code == 404


async def test_what_failed_alike_is_tried_again_in_each_queue_however_often_it_failed_since(
    api: httpx.AsyncClient, db: Db
) -> None:
    """Queues whose failures were not among the last 10,000 of the error were left out. One that another
    client has dropped meanwhile was refused, and with it all the others.
    """
    for queue in ("gone", "mail", "news"):
        db.execute("select postmill.create_queue($1)", (queue,))
        db.execute(
            "insert into postmill.dead_letters"
            " (queue_name, msg_id, read_ct, enqueued_at, message, attempts, kind, reason)"
            " values ($1, 1, 1, now(), '{}', 1, 'error', 'odd')",
            (queue,),
        )
        db.execute(
            "insert into postmill.failures (queue_name, msg_id, attempt, kind, error_type, error_message)"
            " select $1, msg_id, 1, 'error', 'ValueError', 'odd' from generate_series(1, 10000) as msg_id",
            (queue,),
        )
    db.execute("select pgmq.drop_queue('gone')")
    (listed,) = (await api.get("/errors")).json()["items"]
    answer = await api.post(f"/errors/{listed['fingerprint']}/retry", json={})
    assert [(each["queue"], each["expected"]) for each in answer.json()["items"]] == [
        ("mail", 1),
        ("news", 1),
    ]
