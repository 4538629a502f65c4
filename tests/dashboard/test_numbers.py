"""Numbers of five digits and more are written in groups of three, or with a unit, on every page."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest

from tests.dashboard.conftest import words
from tests.dashboard.test_running_parts import put_worker

if TYPE_CHECKING:
    import httpx
    import psycopg

    Db = psycopg.Connection[dict[str, Any]]

MANY = 26_572
"""Of each thing that pages count; no id is the same."""


@pytest.fixture
def crowd(db: Db) -> Db:
    """A queue without a worker and one with, each with many of all that is counted."""
    db.execute("select postmill.create_queue('mail'), postmill.create_queue('report')")
    db.execute("select setval('pgmq.q_mail_msg_id_seq', 500)")
    db.execute(
        "insert into pgmq.q_mail (vt, message)"
        " select now() - interval '1 day', '{}' from generate_series(1, $1)",
        (MANY,),
    )
    db.execute(
        "insert into pgmq.q_report (read_ct, vt, message) values ($1, now() - interval '1 day', '{}')",
        (MANY,),
    )
    db.execute(
        """insert into postmill.failures
                  (queue_name, msg_id, attempt, kind, error_type, error_message)
           values ('report', 1, $1, 'error', 'ValueError', 'no')""",
        (MANY,),
    )
    put_worker(db, queue_name="report", max_concurrent=MANY, in_flight=MANY)
    db.execute(
        """insert into postmill.minutes
           values (date_trunc('minute', now()) - interval '5 min', 'report', 0, $1, $1, $1, $1, 1, 1)""",
        (MANY,),
    )
    db.execute(
        """insert into postmill.operations
                  (kind, queue_name, upper_id, expected, state, done, skipped, failed, busy, ended_at)
           values ('cancel', 'mail', 1, $1, 'done', $1, $1, $1, $1, now())""",
        (MANY,),
    )
    db.execute(
        "insert into postmill.calls (method, url, timeout_ms, attempts)"
        " values ('GET', 'http://x.org/', 1, $1)",
        (MANY,),
    )
    db.execute(
        """insert into postmill.audit (viewer, role, source, action, target, affected)
           values ('ada', 'operator', 'x', 'queue.purge', '{}', $1)""",
        (MANY,),
    )
    return db


PAGES = {
    "/": "",
    "/queues/mail": "",
    "/queues/mail/many/cancel": "26,572 messages match",
    "/queues/report": "26,572 of 26,572",
    "/queues/report/messages": "",
    "/queues/report/messages/1": "all slots of the workers are taken: 26,572",
    "/workers": "26,572 of 26,572",
    "/operations": "26.6 k",
    "/operations/1": "Were counted 26,572",
    "/calls": "26,572",
    "/calls/1": "Attempts 26,572",
    "/audit": "26,572",
}
"""And what each says of so many, where it is no estimate."""


async def test_no_page_writes_a_large_number_without_a_separator(
    browser: httpx.AsyncClient, crowd: Db
) -> None:
    """The strip of what is wrong said 26572 ready."""
    pages = {path: await browser.get(path) for path in PAGES}
    assert {path: words(page) for path, page in pages.items() if page.status_code != 200} == {}
    assert {path: found for path, page in pages.items() if (found := bare(page))} == {}
    assert {path for path, said in PAGES.items() if said not in words(pages[path])} == set()


def bare(page: httpx.Response) -> list[str]:
    """Numbers of five digits and more that a page shows, says to those who hear it, or says on hover. Ids are
    names, and not numbers.
    """
    shown = re.sub(r'<[^>]*class="id"[^>]*>[^<]*<', "<", page.text.partition("<main")[2])
    said = re.findall(r'(?:aria-label|title|placeholder)="([^"]*)"', shown)
    return re.findall(r"(?<![\d.-])\d{5,}(?![\d.-])", " ".join([re.sub(r"<[^>]*>", " ", shown), *said]))
