"""The dashboard over the test's database: asked without a server and without JavaScript, or by a browser."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import httpx
import pytest
import pytest_asyncio
from playwright.sync_api import sync_playwright

from postmill.dashboard.application import Dashboard, application
from postmill.dashboard.security.keys import Keys
from tests import servers
from tests.dashboard.in_chromium import CHROMIUM, Served
from tests.several import named_databases

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path
    from typing import Any

    import psycopg
    from playwright.sync_api import Browser

    from postmill.embedded import Server

    Db = psycopg.Connection[dict[str, Any]]

KEYS = Keys(operator=("operators-key",), reader=("readers-key",), signing="a secret of this test's project")
OWN = {"origin": "http://127.0.0.1:8420"}
"""What a browser sends along with a form of the dashboard's own page."""
HOSTILE = {"x": "<script>alert(1)</script>", "rtl": "\u05e9\u05dc\u05d5\u05dd", "password": "hunter2"}
HELLO = """
async def handler(request):
    print("a line of its own")
    return {"hello": (await request.json())["name"]}
"""


@pytest_asyncio.fixture
async def dashboard(database_url: str) -> AsyncIterator[Dashboard]:
    """Over the test's database, with keys."""
    made = application(db_url=database_url, keys=KEYS)
    yield made
    await made.close()


def client_of(dashboard: Dashboard, *, key: str = "") -> httpx.AsyncClient:
    """A browser's requests; ``key``: it has signed in with it."""
    client = httpx.AsyncClient(
        transport=httpx.ASGITransport(dashboard), base_url="http://127.0.0.1:8420", headers=OWN
    )
    opened = KEYS.opened(key)
    if opened is not None:
        seal = dashboard.access.seal
        client.cookies.set(seal.cookie("session"), seal.session(opened, 4e9), domain="127.0.0.1")
    return client


@pytest_asyncio.fixture
async def browser(dashboard: Dashboard) -> AsyncIterator[httpx.AsyncClient]:
    """An operator's."""
    async with client_of(dashboard, key="operators-key") as client:
        yield client


@pytest_asyncio.fixture
async def readers(dashboard: Dashboard) -> AsyncIterator[httpx.AsyncClient]:
    """A reader's."""
    async with client_of(dashboard, key="readers-key") as client:
        yield client


@pytest_asyncio.fixture
async def stranger(dashboard: Dashboard) -> AsyncIterator[httpx.AsyncClient]:
    """Of somebody who has not signed in."""
    async with client_of(dashboard) as client:
        yield client


def words(answer: httpx.Response) -> str:
    """What a page says, without its tags."""
    return " ".join(re.sub(r"<[^>]*>", " ", answer.text.partition("<main")[2]).split())


@pytest.fixture
def served(database_url: str, db: Db, tmp_path: Path) -> Iterator[Served]:
    """With a queue and a function."""
    (tmp_path / "hello.py").write_text(HELLO)
    db.execute(
        "select postmill.create_queue('mail'), postmill.send('mail', '{\"to\": \"<img src=x onerror=1>\"}')"
    )
    made = Served(database_url, KEYS, tmp_path)
    yield made
    made.stop()


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """Debian's."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def work(db: Db) -> Db:
    """A queue with two messages that wait, and one that is dead."""
    db.execute("select postmill.create_queue('mail')")
    for _ in range(3):
        db.execute("select postmill.send('mail', $1::jsonb)", (json.dumps(HOSTILE),))
    db.execute(
        """with gone as (delete from pgmq.q_mail where msg_id = 1 returning *)
           insert into postmill.dead_letters
                  (queue_name, msg_id, read_ct, enqueued_at, message, attempts, kind, reason)
           select 'mail', msg_id, 1, enqueued_at, message, 1, 'error', '<b>no</b> such mailbox' from gone"""
    )
    db.execute(
        """insert into postmill.failures
                  (queue_name, msg_id, attempt, kind, error_type, error_message, traceback)
           values ('mail', 1, 1, 'error', 'ValueError', '<i>bad</i>', 'Traceback <u>here</u>')"""
    )
    db.execute(
        """insert into postmill.attempt_logs (queue_name, msg_id, attempt, lines)
           values ('mail', 1, 1, array['12:00:00.000 INFO shop: <s>one</s>',
                                       '12:00:00.100 INFO shop: two'])"""
    )
    return db


@pytest.fixture
def urls(shared_server: Server, administrator: psycopg.Connection[Any]) -> Iterator[dict[str, str]]:
    """Two databases with a message in the second."""
    with named_databases(administrator, shared_server, "eu1", "eu2", queues=["mail"]) as made:
        with servers.session(made["eu2"]) as db:
            db.execute("""select postmill.send('mail', '{"password": "hunter2", "to": "ada"}')""")
        yield made


@pytest.fixture
def said() -> list[str]:
    """What should not be: lines on the console, errors, requests to other hosts."""
    return []
