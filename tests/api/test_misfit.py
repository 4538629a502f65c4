"""A value that is not what is asked for is told with its place, and with what to write in its place."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    import httpx


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "detail", "hint"),
    [
        ("GET", "/queues/mail/messages/x7", None, 400, "msg_id is no id.", 'Write it as "42".'),
        ("GET", "/runs/007", None, 400, "run_id is no id.", 'Write it as "42".'),
        ("GET", "/audit?limit=x", None, 400, "Expected `int`, got `str` - at `$.limit`.", "openapi.json"),
        (
            "POST",
            "/queues/mail/messages/cancel",
            {"msg_ids": ["1", "x"]},
            422,
            "msg_ids[1] is no id.",
            'Write it as "42".',
        ),
        (
            "POST",
            "/queues",
            {"queue": "My Mail"},
            422,
            "queue is no name for a queue.",
            'For example "mail".',
        ),
        ("POST", "/queues", {}, 422, "Object missing required field `queue`.", "openapi.json"),
        ("POST", "/queues", [], 422, "Expected `object`, got `array`.", "openapi.json"),
    ],
)
async def test_what_is_wrong_is_named_with_what_to_write(
    api: httpx.AsyncClient, method: str, path: str, body: Any, status: int, detail: str, hint: str
) -> None:
    answer = await api.request(method, path, json=body) if body is not None else await api.get(path)
    assert answer.status_code == status, answer.text
    told = answer.json()
    assert told["detail"] == detail
    assert hint in told["try"]
