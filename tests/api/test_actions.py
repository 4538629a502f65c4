"""What operators do over the API, and what each leaves behind."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import psycopg
import pytest

if TYPE_CHECKING:
    import httpx

    Db = psycopg.Connection[dict[str, Any]]

READER = {"authorization": "Bearer reader"}


def audit(db: Db) -> list[dict[str, Any]]:
    """All that was written down, the oldest first."""
    return db.execute("select * from postmill.audit order by audit_id").fetchall()


def kill(db: Db, queue: str, payload: str) -> int:
    """A dead letter; returns its id."""
    row = db.execute(
        "insert into postmill.dead_letters"
        " (queue_name, msg_id, read_ct, attempts, enqueued_at, message, headers, kind, reason)"
        " values ($1, 99, 3, 3, now(), $2::text::jsonb, '{}', 'exhausted', 'no') returning letter_id",
        (queue, payload),
    ).fetchone()
    assert row is not None
    return int(row["letter_id"])


async def test_a_message_is_sent_listed_cancelled_and_retried(api: httpx.AsyncClient, db: Db) -> None:
    db.execute("select postmill.create_queue('mail')")
    sent = await api.post("/queues/mail/messages", json={"message": {"to": "ada"}, "delay_s": 60})
    assert (sent.status_code, sent.json()) == (201, {"queue": "mail", "msg_id": "1", "existed": False})
    await api.post("/queues/mail/messages", json={"message": 2, "unique_key": "k", "priority": 3})
    again = await api.post("/queues/mail/messages", json={"message": 2, "unique_key": "k"})
    assert again.json()["existed"] is True
    listed = (await api.get("/queues/mail/messages?limit=1")).json()
    assert [each["msg_id"] for each in listed["items"]] == [again.json()["msg_id"]]
    page = (await api.get("/queues/mail/messages", params={"cursor": listed["next"]})).json()
    assert [(each["msg_id"], each["message"], each["state"]) for each in page["items"]] == [
        ("1", {"to": "ada"}, "scheduled")
    ]
    assert page["next"] is None
    retried = await api.post("/queues/mail/messages/retry", json={"msg_ids": ["1", "77"]})
    assert retried.json()["items"] == [
        {"msg_id": "1", "outcome": "ready"},
        {"msg_id": "77", "outcome": "not found"},
    ]
    await api.post("/queues/mail/messages/cancel", json={"msg_ids": ["1"]})
    shown = (await api.get("/queues/mail/messages/1")).json()
    assert (shown["queue"], shown["state"], shown["failures"]) == ("mail", "cancelled", [])
    assert [(row["action"], row["affected"]) for row in audit(db)] == [
        ("message.send", 1),
        ("message.send", 1),
        ("message.send", 0),
        ("message.retry", 1),
        ("message.cancel", 1),
    ]


async def test_an_action_is_in_the_audit_with_who_did_it_and_one_that_failed_is_not(
    api: httpx.AsyncClient, db: Db
) -> None:
    db.execute("select postmill.create_queue('mail')")
    await api.post("/queues/mail/pause", json={"reason": "deploy"})
    assert (await api.post("/queues/nope/pause", json={})).status_code == 404
    (row,) = audit(db)
    assert (row["viewer"], row["role"], row["source"]) == ("ada", "operator", "127.0.0.1")
    assert (row["action"], row["target"]) == ("queue.pause", {"queue": "mail", "reason": "deploy"})
    (listed,) = (await api.get("/audit?viewer=ada")).json()["items"]
    assert (listed["audit_id"], listed["login"]) == (str(row["audit_id"]), row["login"])
    assert (await api.get("/audit?viewer=eve")).json()["items"] == []


async def test_letters_are_replayed_edited_or_discarded(api: httpx.AsyncClient, db: Db) -> None:
    db.execute("select postmill.create_queue('mail')")
    first, second, third = (kill(db, "mail", f'{{"n": {n}}}') for n in range(3))
    page = (await api.get("/dead-letters?queue=mail&limit=2")).json()
    assert [each["letter_id"] for each in page["items"]] == [str(third), str(second)]
    rest = (await api.get("/dead-letters", params={"cursor": page["next"]})).json()
    assert [each["letter_id"] for each in rest["items"]] == [str(first)]
    would = await api.post(
        "/queues/mail/dead-letters/replay",
        json={"letter_ids": [str(first), str(second), str(third)], "dry_run": True},
    )
    assert (would.json()["letters"], would.json()["replayed"]) == (3, False)
    path = "/queues/mail/dead-letters/replay"
    done = await api.post(path, json={"letter_ids": [str(first)], "message": {"n": "new"}})
    assert done.status_code == 200, done.text
    assert done.json()["items"] == [{"letter_id": str(first), "msg_id": "1"}]
    row = db.execute("select message from pgmq.q_mail").fetchone()
    assert row is not None
    assert row["message"] == {"n": "new"}
    refused = await api.post(path, json={"letter_ids": [str(first), str(second)]})
    assert (refused.status_code, refused.json()["code"]) == (404, "not-found")
    refusals: tuple[dict[str, Any], ...] = (
        {},
        {"letter_ids": []},
        {"letter_ids": [str(second), str(third)], "message": 1},
    )
    for unclear in refusals:
        assert (await api.post(path, json=unclear)).status_code == 422
    gone = await api.post("/queues/mail/dead-letters/discard", json={"letter_ids": [str(second), str(third)]})
    assert gone.json() == {"queue": "mail", "discarded": True, "letters": 2}
    assert (await api.get(f"/dead-letters/{second}")).status_code == 404
    assert (await api.get(f"/dead-letters/{first}")).json()["replayed_as"] == "1"


async def test_secrets_are_left_out_until_an_operator_reveals_them(api: httpx.AsyncClient, db: Db) -> None:
    db.execute("select postmill.create_queue('mail')")
    secret = '{"user": "ada", "auth": [{"Api-Key": "s3cret", "password": {"old": "s3cret"}}]}'
    letter = kill(db, "mail", secret)
    db.execute(
        "select postmill.send('mail', $1::text::jsonb, headers => '{\"X-Token\": \"s3cret\"}')", (secret,)
    )
    for path in (
        "/queues/mail/messages",
        "/queues/mail/messages/1",
        "/dead-letters",
        f"/dead-letters/{letter}",
    ):
        shown = await api.get(path)
        assert "[redacted]" in shown.text, path
        assert "s3cret" not in shown.text, path
        assert "ada" in shown.text, path
    refused = await api.post("/queues/mail/messages/1/reveal", headers=READER)
    assert (refused.status_code, "s3cret" in refused.text) == (403, False)
    revealed = (await api.post("/queues/mail/messages/1/reveal")).json()
    assert revealed["headers"] == {"X-Token": "s3cret"}
    assert revealed["message"]["auth"][0]["password"] == {"old": "s3cret"}
    assert "s3cret" in (await api.post(f"/dead-letters/{letter}/reveal")).text
    assert [row["action"] for row in audit(db)] == ["message.reveal", "dead_letter.reveal"]


async def test_a_payload_without_its_secrets_is_not_sent_back(api: httpx.AsyncClient, db: Db) -> None:
    db.execute("select postmill.create_queue('mail')")
    letter = kill(db, "mail", '{"password": "s3cret"}')
    shown = (await api.get(f"/dead-letters/{letter}")).json()
    body = {"letter_ids": [str(letter)], "message": shown["message"]}
    refused = await api.post("/queues/mail/dead-letters/replay", json=body)
    assert (refused.status_code, refused.json()["code"]) == (422, "invalid-payload")
    body["message"] = {"note": "[redacted]"}
    assert (await api.post("/queues/mail/dead-letters/replay", json=body)).status_code == 200


@pytest.mark.parametrize(
    "limit",
    [
        {"max_running": 2},
        {"starts": 10, "per_s": 60.0},
        {"max_running": 3, "starts": 1, "per_s": 0.5},
    ],
)
async def test_a_queue_and_its_groups_are_limited(
    api: httpx.AsyncClient, db: Db, limit: dict[str, Any]
) -> None:
    db.execute("select postmill.create_queue('mail')")
    (found,) = (await api.put("/queues/mail/limits", json=limit)).json()["items"]
    assert {name: found[name] for name in limit} == limit
    assert found["group_key"] == ""
    await api.put("/queues/mail/group-limits", json=limit)
    both = await api.put("/queues/mail/group-limits", json={**limit, "group_key": "acme"})
    assert [each["group_key"] for each in both.json()["items"]] == ["", None, "acme"]
    await api.put("/queues/mail/limits", json={})
    assert [each["group_key"] for each in (await api.get("/queues/mail/limits")).json()["items"]] == [
        None,
        "acme",
    ]


async def test_retention_and_priority_are_set(api: httpx.AsyncClient, db: Db) -> None:
    db.execute("select postmill.create_queue('mail')")
    kept = await api.put("/queues/mail/retention", json={"keep_s": 3600, "max_rows": 10})
    assert kept.json() == {"queue": "mail", "archive_s": 3600.0, "history_s": 3600.0, "archive_max_rows": 10}
    assert (await api.get("/queues/mail/retention")).json() == kept.json()
    assert (await api.put("/queues/mail/priority", json={})).json() == {"queue": "mail", "priority": True}
    assert (await api.delete("/queues/mail/priority")).json() == {"queue": "mail", "priority": False}


async def test_a_schedule_is_looked_at_and_steered(api: httpx.AsyncClient, db: Db) -> None:
    db.execute("select postmill.create_queue('mail'), postmill.schedule('a', '30 seconds', 'mail', '{}')")
    db.execute("select postmill.schedule('b', '30 2 * * *', 'mail', '{\"token\": 1}')")
    page = (await api.get("/schedules?limit=1")).json()
    assert [each["schedule"] for each in page["items"]] == ["a"]
    rest = (await api.get("/schedules", params={"cursor": page["next"]})).json()
    assert [each["schedule"] for each in rest["items"]] == ["b"]
    shown = (await api.get("/schedules/b")).json()
    assert "02:30" in shown["means"] or "2:30" in shown["means"]
    assert shown["target"]["payload" if "payload" in shown["target"] else "message"] == {
        "token": "[redacted]"
    }
    ticks = (await api.get("/schedules/b/next?count=2")).json()
    assert len(ticks["at"]) == 2
    preview = await api.get("/schedule-preview", params={"when": "0 9 * * mon", "timezone": "Europe/Paris"})
    assert [tick[11:16] for tick in preview.json()["at"]] == ["09:00"] * 5
    assert (await api.get("/schedule-preview?when=nonsense")).status_code == 400
    assert (await api.post("/schedules/b/run")).json() == {"schedule": "b", "msg_id": "1"}
    (run,) = (await api.get("/schedules/b/runs")).json()["items"]
    assert (run["msg_id"], run["status"]) == ("1", "sent")
    assert (await api.post("/schedules/b/pause")).json() == {"schedule": "b", "paused": True}
    assert (await api.get("/schedules/b")).json()["state"] == "paused"
    assert (await api.post("/schedules/b/resume")).json() == {"schedule": "b", "paused": False}
    assert (await api.delete("/schedules/b")).json() == {"schedule": "b", "removed": True}
    assert (await api.get("/schedules/b")).status_code == 404
    assert (await api.delete("/schedules/b")).status_code == 404


@pytest.mark.parametrize("verb", ["replay", "discard"])
async def test_all_letters_are_done_or_none_when_another_takes_one_meanwhile(
    api: httpx.AsyncClient, db: Db, database_url: str, verb: str
) -> None:
    db.execute("select postmill.create_queue('mail')")
    first, second = (kill(db, "mail", "{}") for _ in range(2))
    with psycopg.connect(database_url) as other:
        other.execute("select from postmill.dead_letters where letter_id = %s for update", (first,))
        body = {"letter_ids": [str(first), str(second)]}
        refused = await api.post(f"/queues/mail/dead-letters/{verb}", json=body)
    assert (refused.status_code, refused.json()["code"]) == (404, "not-found")
    left = db.execute("select letter_id from postmill.dead where replayed_at is null order by 1").fetchall()
    assert [row["letter_id"] for row in left] == [first, second]
