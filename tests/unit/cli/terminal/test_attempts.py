"""The traceback of a failed attempt can be read."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from postmill.cli.terminal import attempts

NOW = datetime(2030, 6, 1, 12, tzinfo=UTC)
TRACEBACK = """Traceback (most recent call last):
  File "/app/.venv/lib/python3.11/site-packages/postmill/handlers/invokers.py", line 77, in one
    return await function(payload)
  File "/app/.venv/lib/python3.11/site-packages/postmill/handlers/invokers.py", line 12, in two
    return await function(payload)
           ^^^^^^^^^^^^^^^^^^^^^^^
  File "/app/worker.py", line 7, in charge
    card = json.loads(text)
           ^^^^^^^^^^^^^^^^
  File "/usr/lib/python3.11/json/__init__.py", line 346, in loads
    return _default_decoder.decode(s)
json.decoder.JSONDecodeError: Expecting value
  with a second line

The above exception was the direct cause of the following exception:

Traceback (most recent call last):
  File "/app/worker.py", line 9, in charge
    raise NoCard from error
worker.NoCard
"""


def dim(text: str) -> str:
    return f"<{text.strip()}>"


def test_ours_are_folded_libraries_are_dim_and_the_users_stand_out() -> None:
    assert list(attempts.traceback(TRACEBACK, dim=dim)) == [
        "Traceback (most recent call last):",
        "<... 2 frames of Postmill or importlib>",
        '  File "/app/worker.py", line 7, in charge',
        "    card = json.loads(text)",
        "           ^^^^^^^^^^^^^^^^",
        '<File "/usr/lib/python3.11/json/__init__.py", line 346, in loads>',
        "<return _default_decoder.decode(s)>",
        "json.decoder.JSONDecodeError: Expecting value",
        "  with a second line",
        "",
        "The above exception was the direct cause of the following exception:",
        "",
        "Traceback (most recent call last):",
        '  File "/app/worker.py", line 9, in charge',
        "    raise NoCard from error",
        "worker.NoCard",
    ]


def failure(**fields: Any) -> dict[str, Any]:
    nothing = (
        "attempt",
        "kind",
        "error_type",
        "error_message",
        "traceback",
        "worker_id",
        "started_at",
        "failed_at",
    )
    return dict.fromkeys(nothing) | {"attempt": 1, "kind": "error"} | fields


def test_an_attempt_says_when_for_how_long_and_where() -> None:
    row = failure(
        attempt=2,
        worker_id=UUID(int=0),
        started_at=NOW - timedelta(seconds=1),
        failed_at=NOW,
        error_type="ValueError",
        error_message="no\x1b[2J",
    )
    heading, text = attempts.lines([row], NOW)
    assert heading == f"  attempt 2  error  at {NOW.astimezone():%H:%M:%S}  after 1.0 s  worker 00000000"
    assert text == "    ValueError: no\\x1b[2J"


def test_times_that_python_can_not_hold_are_shown_as_they_are() -> None:
    heading, text = attempts.lines([failure(failed_at="infinity", started_at=NOW)], NOW)
    assert heading == "  attempt 1  error  at infinity"
    assert text == "    nothing was recorded"
