"""The ported example of each page under "Coming from" runs, and comes to the end that the page says."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from postmill import Worker
from postmill.testing import drain

PAGES = Path(__file__).parents[2] / "docs" / "coming-from"
ENDS: dict[str, list[tuple[Any, str]]] = {
    "celery": [
        ({"order_id": 7, "email": "ada@example.org"}, "completed"),
        ({"order_id": 7, "email": "-"}, "dead"),
    ],
    "procrastinate": [({"a": 1, "b": 2}, "completed"), ({"a": "one"}, "dead")],
    "oban": [({"report_id": 1, "email": "a"}, "completed"), ({"report_id": 0, "email": "a"}, "dead")],
    "background-tasks": [({"email": "ada@example.org"}, "completed"), ({}, "dead")],
    "solid-queue": [({"account_id": 1, "contact_id": 2}, "completed"), ({"account_id": "one"}, "dead")],
    "apscheduler": [({"team": "sales"}, "completed"), ({}, "dead")],
    "pg-cron": [({}, "completed"), ({"of": "tomorrow"}, "dead")],
    "supabase-queues": [({"to": "ada@example.org"}, "completed"), ({}, "dead")],
    "edge-worker": [({"to": "ada@example.org"}, "completed"), ([], "dead")],
}
"""Payloads, and how their messages end."""
WITHOUT_A_WORKER = ("supabase-edge-functions", "pg-net", "supabase-vault", "supaqueue", "supaworker")
"""Pages whose examples are functions and SQL; other tests run them."""


def ported(page: Path) -> Worker | None:
    """The worker of the page's first Python block."""
    (source, *_) = re.findall(r"^```python\n(.*?)^```$", page.read_text(encoding="utf-8"), re.M | re.S)
    module = ModuleType("ported")
    sys.modules["ported"] = module  # where annotations are looked up
    exec(compile(source, page.name, "exec"), module.__dict__)
    return next((value for value in vars(module).values() if isinstance(value, Worker)), None)


def test_each_page_with_a_worker_has_its_ends() -> None:
    assert {page.stem for page in PAGES.glob("*.md")} == {*ENDS, *WITHOUT_A_WORKER}


@pytest.mark.parametrize("page", ENDS)
async def test_the_ported_worker_runs(page: str, database_url: str, db: Any) -> None:
    worker = ported(PAGES / f"{page}.md")
    assert worker is not None
    db.execute("select postmill.create_queue($1)", (worker.queue,))
    for payload, _ in ENDS[page]:
        db.execute("select postmill.send($1, $2::text::jsonb)", (worker.queue, _json(payload)))
    account = await drain(worker, database=database_url)
    assert [attempt.outcome for attempt in sorted(account.attempts, key=lambda each: each.msg_id)] == [
        end for _, end in ENDS[page]
    ]


def _json(payload: object) -> str:
    import json

    return json.dumps(payload)
