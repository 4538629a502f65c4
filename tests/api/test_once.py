"""Requests that come twice, and databases that refuse."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from postmill.api.application import application
from postmill.api.desk import House
from postmill.db.tools import roles
from postmill.db.tools.sessions import Sessions
from postmill.model.config.address import parse
from tests.api.conftest import authorize

if TYPE_CHECKING:
    import psycopg

    Db = psycopg.Connection[dict[str, Any]]

ONCE = {"idempotency-key": "order-1"}
PATH = "/queues/mail/messages"


def sent(db: Db) -> int:
    """How many messages there are."""
    return len(db.execute("select from pgmq.q_mail").fetchall())


async def test_a_request_that_comes_again_has_the_same_answer_and_takes_effect_once(
    api: httpx.AsyncClient, db: Db
) -> None:
    db.execute("select postmill.create_queue('mail')")
    first, again = [await api.post(PATH, json={"message": 1}, headers=ONCE) for _ in range(2)]
    assert (first.status_code, first.content) == (again.status_code, again.content)
    assert "idempotency-replayed" not in first.headers
    assert again.headers["idempotency-replayed"] == "true"
    assert sent(db) == 1
    assert len(db.execute("select from postmill.audit").fetchall()) == 1


async def test_without_a_key_it_takes_effect_again(api: httpx.AsyncClient, db: Db) -> None:
    """The control of the test before."""
    db.execute("select postmill.create_queue('mail')")
    for _ in range(2):
        await api.post(PATH, json={"message": 1})
    assert sent(db) == 2


async def test_another_request_with_the_key_is_refused(api: httpx.AsyncClient, db: Db) -> None:
    db.execute("select postmill.create_queue('mail')")
    await api.post(PATH, json={"message": 1}, headers=ONCE)
    other = await api.post(PATH, json={"message": 2}, headers=ONCE)
    assert (other.status_code, other.json()["code"]) == (422, "key-reused")
    elsewhere = await api.post("/queues/mail/pause", json={}, headers=ONCE)
    assert elsewhere.json()["code"] == "key-reused"
    assert (await api.post("/queues/other/messages", json={"message": 1}, headers=ONCE)).status_code == 422


async def test_two_at_once_take_effect_once(api: httpx.AsyncClient, db: Db) -> None:
    db.execute("select postmill.create_queue('mail')")
    answers = await asyncio.gather(*(api.post(PATH, json={"message": 1}, headers=ONCE) for _ in range(8)))
    assert {(answer.status_code, answer.content) for answer in answers} == {
        (201, b'{"queue":"mail","msg_id":"1","existed":false}')
    }
    assert sent(db) == 1


async def test_a_request_that_failed_may_be_sent_again(api: httpx.AsyncClient, db: Db) -> None:
    assert (await api.post(PATH, json={"message": 1}, headers=ONCE)).status_code == 404
    db.execute("select postmill.create_queue('mail')")
    assert (await api.post(PATH, json={"message": 1}, headers=ONCE)).status_code == 201


async def test_what_was_revealed_is_not_kept(api: httpx.AsyncClient, db: Db) -> None:
    db.execute("select postmill.create_queue('mail'), postmill.send('mail', '{\"token\": \"s3cret\"}')")
    for _ in range(2):
        shown = await api.post(f"{PATH}/1/reveal", headers=ONCE)
        assert shown.json()["message"] == {"token": "s3cret"}
    assert db.execute("select from postmill.idempotency_keys").fetchall() == []
    assert len(db.execute("select from postmill.audit").fetchall()) == 2


@pytest.mark.parametrize("key", ["", "x" * 256, "a\tb"])
async def test_a_key_that_is_none(api: httpx.AsyncClient, db: Db, key: str) -> None:
    db.execute("select postmill.create_queue('mail')")
    assert (await api.post(PATH, json={"message": 1}, headers={"idempotency-key": key})).status_code == 400
    assert sent(db) == 0


async def test_what_is_old_is_deleted_by_the_next_action(api: httpx.AsyncClient, db: Db) -> None:
    db.execute("select postmill.create_queue('mail')")
    await api.post(PATH, json={"message": 1}, headers=ONCE)
    db.execute("update postmill.audit set at = at - interval '91 days'")
    db.execute("update postmill.idempotency_keys set at = at - interval '25 hours'")
    await api.post("/queues/mail/pause", json={})
    (row,) = db.execute("select action from postmill.audit").fetchall()
    assert row["action"] == "queue.pause"
    assert db.execute("select from postmill.idempotency_keys").fetchall() == []


async def test_a_database_that_takes_no_writes_is_told_as_such(api: httpx.AsyncClient, db: Db) -> None:
    db.execute("select postmill.create_queue('mail')")
    db.execute(f'alter database "{db.info.dbname}" set default_transaction_read_only = on'.encode())
    answer = await api.post("/queues/mail/pause", json={})
    assert (answer.status_code, answer.json()["code"]) == (403, "read-only"), answer.text
    assert (await api.get("/queues/mail")).status_code == 200


async def test_the_login_of_an_operator_acts_and_that_of_a_reader_only_looks(
    db: Db, database_url: str
) -> None:
    """What the API can't do, the database does not let it do either; nobody takes from the audit."""
    db.execute("select postmill.create_queue('mail')")
    roles.grant(db)
    answers: dict[str, tuple[int, int]] = {}
    for role in ("operator", "reader"):
        login = f"{role}_{db.info.dbname}"
        db.execute(f"create role {login} login in role postmill_{role}".encode())
        try:
            sessions = Sessions(parse(database_url.replace("postgres@", f"{login}@")))
            transport = httpx.ASGITransport(application(House(sessions), authorize))
            async with httpx.AsyncClient(
                transport=transport, base_url="http://api", headers={"authorization": "Bearer operator"}
            ) as client:
                looked = await client.get("/queues/mail")
                acted = await client.post("/queues/mail/pause", json={}, headers=ONCE)
                answers[role] = (looked.status_code, acted.status_code)
                made = await client.post("/queues", json={"queue": "other"})
                assert (made.status_code, made.json()["code"]) == (403, "forbidden"), made.text
            await sessions.close()
        finally:
            db.execute(f"drop owned by {login}; drop role {login}".encode())
    assert answers == {"operator": (200, 200), "reader": (200, 403)}
    assert len(db.execute("select from postmill.audit").fetchall()) == 1
