"""The ported example of each page under "Coming from" runs, and comes to the end that the page says."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from postmill import Worker
from postmill.flows import Startable
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
FLOWS: dict[str, list[tuple[Any, str]]] = {
    "pgflow": [({"url": "https://example.org"}, "completed"), ({"url": "ftp:"}, "failed")],
    "dbos": [
        ({"order": {"number": 1, "cents": 500}}, "completed"),
        ({"order": {"number": 2, "cents": 0}}, "failed"),
        ({"order": {"number": 3, "cents": 200_000}}, "failed"),
    ],
    "temporal": [({"customer": "ada", "months": 3}, "completed"), ({"customer": "", "months": 3}, "failed")],
    "prefect": [({"names": ["Oslo", "Lisbon"]}, "completed"), ({"names": ["Oslo", ""]}, "failed")],
}
"""Inputs, and how their runs end; time-outs come at once."""
WITHOUT_A_WORKER = ("supabase-edge-functions", "pg-net", "supabase-vault", "supaqueue", "supaworker")
"""Pages whose examples are functions and SQL; other tests run them."""


def ported(page: Path, kind: type[Any] = Worker) -> Any:
    """The worker, or the flow, of the page's first Python block."""
    (source, *_) = re.findall(r"^```python\n(.*?)^```$", page.read_text(encoding="utf-8"), re.M | re.S)
    module = ModuleType("ported")
    sys.modules["ported"] = module  # where annotations are looked up
    exec(compile(source, page.name, "exec"), module.__dict__)
    return next((value for value in vars(module).values() if isinstance(value, kind)), None)


def test_each_page_with_a_worker_has_its_ends() -> None:
    assert {page.stem for page in PAGES.glob("*.md")} == {*ENDS, *FLOWS, *WITHOUT_A_WORKER}


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


@pytest.mark.parametrize("page", FLOWS)
async def test_the_ported_flow_runs(page: str, database_url: str, db: Any) -> None:
    flow = ported(PAGES / f"{page}.md", Startable)
    await drain(flow, database=database_url)  # a worker that starts says what it has
    for given, _ in FLOWS[page]:
        db.execute("select postmill.start_flow($1, $2::text::jsonb)", (flow.name, _json(given)))
    await drain(flow, database=database_url)
    runs = db.execute("select state from postmill.runs order by run_id").fetchall()
    assert [run["state"] for run in runs] == [end for _, end in FLOWS[page]]


def _json(payload: object) -> str:
    import json

    return json.dumps(payload)
