"""What the worker of a queue wants in payloads, and a send that is checked by it when that is asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from tests.service.test_payload_types import tell

if TYPE_CHECKING:
    import httpx
    import psycopg

    Db = psycopg.Connection[dict[str, Any]]


async def test_the_api_tells_it_and_checks_by_it_when_asked(api: httpx.AsyncClient, db: Db) -> None:
    tell(db)
    mail, report = (await api.get("/queues/mail/payload-types")).json()["items"]
    assert (mail["task"], mail["function_name"], mail["example"]) == ("", "send_mail", '{\n  "to": ""\n}')
    assert mail["fields"] == [
        {"name": "to", "kind": "a text", "required": True},
        {"name": "copies", "kind": "a whole number", "required": False},
    ]
    assert (report["task"], msgspec.json.decode(report["schema"])["$ref"]) == ("report", "#/$defs/Report")

    async def send(message: Any, **more: Any) -> httpx.Response:
        return await api.post("/queues/mail/messages", json={"message": message, **more})

    refused = await send({"two": "ada"}, check=True)
    assert (refused.status_code, refused.json()["code"]) == (422, "invalid-payload")
    assert refused.json()["detail"] == "The field to is missing. Is two meant for it?"
    assert (await send({"two": "ada"})).status_code == 201
    assert (await send({"to": "ada"}, check=True)).status_code == 201
    task = {"postmill-task": "report"}
    assert (await send({"to": "ada"}, check=True, headers=task)).json()[
        "detail"
    ] == "The field month is missing."
    assert (await send({"month": "may"}, check=True, headers=task)).status_code == 201
    assert (await send({}, check=True, headers={"postmill-task": "other"})).status_code == 201


async def test_what_no_type_could_say_anything_of_is_no_bug(api: httpx.AsyncClient, db: Db) -> None:
    """``1e400`` in a payload that was to be checked, or beside ``[redacted]``, was answered with 500, and so
    was a task that is no text.
    """
    tell(db)

    async def send(message: str, more: str) -> tuple[int, str]:
        content = f'{{"message": {message}, {more}}}'
        answer = await api.post(
            "/queues/mail/messages", content=content, headers={"content-type": "application/json"}
        )
        return answer.status_code, answer.json().get("code", "")

    large = '{"to": "ada", "copies": 1e400}'
    refused = (422, "invalid-payload")
    assert await send(large, '"check": false') == refused
    assert await send("{}", '"headers": {"weight": 1e400}') == refused
    assert await send(large, '"check": true') == refused
    assert await send(large.replace("ada", "[redacted]"), '"check": false') == refused
    for task in ("[]", "{}", "7"):
        of_it = f'"check": true, "headers": {{"postmill-task": {task}}}'
        assert await send('{"to": "ada"}', of_it) == (201, "")
