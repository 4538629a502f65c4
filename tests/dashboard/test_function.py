"""The page of a function, over a real host: its processes, its lines, its requests, and calling it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest_asyncio

from postmill.dashboard.application import application
from postmill.host.host import Host
from postmill.model.functions.settings import RuntimeSettings
from tests.dashboard.conftest import KEYS, client_of, words

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    import httpx

    from postmill.dashboard.application import Dashboard

ECHO = """
import logging

async def handler(request):
    print("a printed line <b>")
    logging.getLogger("shop").warning("a logged line")
    body = await request.json()
    if body.get("break"):
        raise ValueError("it broke on purpose")
    return {"was": body, "path": request.url.path}
"""


@pytest_asyncio.fixture
async def hosting(tmp_path: Path, database_url: str) -> AsyncIterator[Dashboard]:
    """A dashboard whose process hosts a function that answers what it is sent."""
    (tmp_path / "echo.py").write_text(ECHO)
    host = Host(tmp_path, RuntimeSettings(), {}, {}, None)
    await host.start()
    dashboard = application(db_url=database_url, keys=KEYS, functions=host)
    yield dashboard
    await dashboard.close()
    await host.stop(5)


@pytest_asyncio.fixture
async def echo(hosting: Dashboard) -> AsyncIterator[httpx.AsyncClient]:
    """An operator's browser."""
    async with client_of(hosting, key="operators-key") as client:
        yield client


async def test_a_function_is_called_and_its_answer_and_lines_are_shown(echo: httpx.AsyncClient) -> None:
    assert "It has written nothing since this process began." in words(await echo.get("/functions/echo"))
    form = {"method": "POST", "path": "/deep?x=1", "body": '{"name": "Ada"}'}
    answer = await echo.post("/functions/echo/call", data=form)
    text = words(answer)
    assert answer.status_code == 200, text
    assert "{&#34;name&#34;:&#34;Ada&#34;}" in answer.text.replace(" ", "")
    assert "200 after" in text
    page = words(await echo.get("/functions/echo"))
    assert "a printed line &lt;b&gt;" in page
    assert "a logged line" in page
    assert "booted" in page
    assert "1 up to the last one" in page
    assert "function.call" in words(await echo.get("/audit"))


async def test_a_call_that_fails_is_told_and_counted(echo: httpx.AsyncClient) -> None:
    failed = await echo.post("/functions/echo/call", data={"body": '{"break": true}'})
    assert failed.status_code == 502
    assert "Its last lines say more" in words(failed)
    page = words(await echo.get("/functions/echo"))
    assert "1 without an answer of its own" in page
    assert "it broke on purpose" in page
    assert (await echo.get("/functions/nope")).status_code == 404
    assert (await echo.post("/functions/echo/call", data={"path": "no slash"})).status_code == 422


async def test_a_function_is_started_recycled_and_stopped_on_its_page(echo: httpx.AsyncClient) -> None:
    for verb, told in (("start", "started"), ("recycle", "recycled"), ("stop", "stopped")):
        done = await echo.post(f"/functions/echo/{verb}", data={"": ""}, follow_redirects=True)
        assert f"echo was {told}." in words(done)
    assert "stopped" in words(await echo.get("/functions/echo"))


async def test_a_reader_sees_a_function_and_calls_none(hosting: Dashboard) -> None:
    async with client_of(hosting, key="readers-key") as reader:
        page = await reader.get("/functions/echo")
        assert page.status_code == 200
        assert "<textarea" not in page.text
        assert (await reader.post("/functions/echo/call", data={"body": "{}"})).status_code == 403
        assert "It has written nothing" in words(await reader.get("/functions/echo"))
