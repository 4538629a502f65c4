"""The dashboard over the test's database: asked without a server and without JavaScript, or by a browser."""

from __future__ import annotations

import asyncio
import re
import shutil
import threading
from typing import TYPE_CHECKING, Any

import httpx
import pytest
import pytest_asyncio
from playwright.sync_api import sync_playwright

from postmill.dashboard.application import Dashboard, application
from postmill.dashboard.security.keys import Keys
from postmill.web.server import WebServer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    import psycopg
    from playwright.sync_api import Browser, Page

    Db = psycopg.Connection[dict[str, Any]]

KEYS = Keys(operator=("operators-key",), reader=("readers-key",), signing="a secret of this test's project")
CHROMIUM = shutil.which("chromium")
OWN = {"origin": "http://127.0.0.1:8420"}
"""What a browser sends along with a form of the dashboard's own page."""


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


class Served:
    """The dashboard on a port, with an event loop in a thread of its own."""

    def __init__(self, database_url: str) -> None:
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run(database_url)))
        self._thread.start()
        assert self._ready.wait(20)

    async def _run(self, database_url: str) -> None:
        self._loop, self._asked = asyncio.get_running_loop(), asyncio.Event()
        dashboard = application(db_url=database_url, keys=KEYS)
        server = WebServer("127.0.0.1", 0)
        self.url = await server.start(dashboard)
        self.link = f"{self.url}/sign-in?once={dashboard.access.new_ticket()}"
        self._ready.set()
        await self._asked.wait()
        dashboard.end_streams()
        await server.stop(5)
        await dashboard.close()

    def stop(self) -> None:
        """End it, in good order."""
        self._loop.call_soon_threadsafe(self._asked.set)
        self._thread.join(20)


def opened(
    chromium: Browser, served: Served, said: list[str], width: int = 1440, theme: str = "light"
) -> Page:
    """A page of an operator who has signed in."""
    context = chromium.new_context(viewport={"width": width, "height": 900}, color_scheme=theme)  # type: ignore[arg-type]
    page = context.new_page()
    page.on("console", lambda line: said.append(f"console: {line.text}"))
    page.on("pageerror", lambda error: said.append(f"error: {error}"))
    page.on("request", lambda sent: said.append(sent.url) if not sent.url.startswith(served.url) else None)
    page.goto(served.link)
    return page


@pytest.fixture
def served(database_url: str, db: Db) -> Iterator[Served]:
    """With a queue."""
    db.execute(
        "select postmill.create_queue('mail'), postmill.send('mail', '{\"to\": \"<img src=x onerror=1>\"}')"
    )
    made = Served(database_url)
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
def said() -> list[str]:
    """What should not be: lines on the console, errors, requests to other hosts."""
    return []
