"""How every list and screen looks at 80 and 120 columns, with and without colour, held against files.

``POSTMILL_WRITE_SNAPSHOTS=1`` writes the files anew: read the difference before it is committed.
"""

from __future__ import annotations

import os
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import UUID

import pytest

from postmill.cli.commands import dead, functions, message, queue, schedule, secret, worker
from postmill.cli.terminal import attempts, table, top_view
from postmill.cli.terminal.top_frame import Frame

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

FOLDER = Path(__file__).parent / "snapshots"
NOW = datetime(2030, 6, 1, 12, tzinfo=UTC)
EARLIER = NOW - timedelta(minutes=3)
LONG_AGO = NOW - timedelta(days=40)
QUEUE = {
    "queue": "invoices_of_the_northern_branch",
    "ready": 1_204_311,
    "running": 20,
    "retrying": 3,
    "scheduled": 144,
    "waiting": 2_311,
    "dead": 7,
    "oldest_ready_s": 5_210.4,
    "oldest_waiting_s": 190.2,
    "workers": 4,
    "paused_at": EARLIER,
    "sent_s": 812.5,
    "left_s": 799.0,
    "paused": True,
}
WORKER = {
    "worker": "send_invoice",
    "queue": "invoices",
    "state": "draining",
    "in_flight": 20,
    "max_concurrent": 100,
    "host": "worker-7d9f4b6c5-x2x8z",
    "pid": 1_234_567,
    "heartbeat_age_s": 1.4,
    "started_at": LONG_AGO,
    "worker_id": UUID(int=0x1F0C << 112),
}
FAILURE = {
    "failed_at": EARLIER,
    "started_at": EARLIER - timedelta(seconds=2),
    "queue": "invoices",
    "msg_id": 1_204_312,
    "attempt": 2,
    "kind": "error",
    "error_type": "SMTPRecipientsRefused",
    "error_message": "550 5.1.1 the mailbox of somebody@example.com does not exist, try another\nor give up",
    "worker_id": UUID(int=0x1F0C << 112),
    "traceback": None,
}
LISTS: dict[str, tuple[Sequence[str], list[dict[str, Any]]]] = {
    "queue-list": (queue.COLUMNS, [QUEUE]),
    "worker-list": (worker.COLUMNS, [WORKER]),
    "message-list": (
        message.COLUMNS,
        [
            {
                "msg_id": 1_204_312,
                "state": "waiting",
                "waits_for": "group acme is at its limit of 3, held by 41, 42, 43",
                "attempts": 2,
                "enqueued_at": EARLIER,
                "vt": NOW,
                "last_error": FAILURE["error_message"],
                "message": {"to": "somebody@example.com", "invoice": 77, "lines": [1, 2, 3]},
            }
        ],
    ),
    "schedule-list": (
        schedule.COLUMNS,
        [
            {
                "schedule": "nightly-report",
                "state": "active",
                "recurrence": "15 3 * * *",
                "timezone": "America/New_York",
                "fires": "invoices",
                "next_at": LONG_AGO,
                "last_at": EARLIER,
                "last_status": "succeeded",
                "problem": None,
            }
        ],
    ),
    "dead-list": (
        dead.COLUMNS,
        [
            {
                "letter_id": 31,
                "queue": "invoices",
                "msg_id": 1_204_312,
                "attempts": 6,
                "kind": "error",
                "reason": "failed 6 of 6 attempts: SMTPRecipientsRefused: 550 5.1.1 there is no mailbox",
                "died_at": LONG_AGO,
            }
        ],
    ),
    "functions-list": (
        functions.COLUMNS,
        [
            {
                "function": "hello",
                "file": Path("functions/hello.py"),
                "kind": "handler",
                "state": "idle",
                "instances": 2,
                "verify_jwt": True,
                "why": "SyntaxError: invalid syntax (hello.py, line 3)",
            }
        ],
    ),
    "secrets-list": (secret.COLUMNS, [{"name": "STRIPE_KEY", "digest": "4f1c" * 16, "updated_at": LONG_AGO}]),
}


@pytest.fixture(autouse=True)
def in_utc(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Times are shown in the reader's time zone."""
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def compare(name: str, shown: str) -> None:
    path = FOLDER / f"{name}.txt"
    if os.environ.get("POSTMILL_WRITE_SNAPSHOTS"):
        FOLDER.mkdir(exist_ok=True)
        path.write_text(shown + "\n", encoding="utf-8")
    assert shown + "\n" == path.read_text(encoding="utf-8")


@pytest.mark.parametrize("width", [80, 120])
@pytest.mark.parametrize("name", LISTS)
def test_a_list_looks_as_it_did(name: str, width: int) -> None:
    columns, rows = LISTS[name]
    lines = table.lines(rows, columns, width=width, now=NOW)
    assert max(map(len, lines)) <= width
    compare(f"{name}-{width}", "\n".join(lines))


@pytest.mark.parametrize("width", [80, 120])
@pytest.mark.parametrize("colour", [True, False])
def test_top_looks_as_it_did(width: int, *, colour: bool) -> None:
    screen = top_view.screen(Frame([QUEUE], [WORKER], [FAILURE]), said="postmill top", width=width, now=NOW)
    assert max(map(len, screen.plain.splitlines())) <= width
    compare(f"top-{width}{'-colour' if colour else ''}", screen.markup if colour else screen.plain.rstrip())


def test_a_message_that_failed_looks_as_it_did() -> None:
    compare("failures", "\n".join(attempts.lines([FAILURE], NOW)))
