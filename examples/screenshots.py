"""``python -m examples.screenshots``: takes the pictures of the dashboard from real pages, with chromium.

Of every page, on a database in which much goes on: wide and narrow, light and dark, into ``build/pictures``,
for a person to look at; with names (``python -m examples.screenshots queue run``) only of those. And the one
of the README, while a worker analyses the demo site: ``python -m examples.screenshots readme``. Needs
chromium (``make test-deps``).
"""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import sys
import tempfile
from contextlib import asynccontextmanager, chdir, suppress
from typing import TYPE_CHECKING

from playwright.async_api import async_playwright
from psycopg.rows import dict_row

from examples import busy
from examples.captures import FOLDER, PATIENCE_S, POSTMILL, ROOT
from examples.flows import demo
from examples.flows.site import Site, site
from examples.scraper import processes
from postmill import app
from postmill.api.viewer import Role, Viewer
from postmill.dashboard.application import application
from postmill.host.host import Host
from postmill.model.functions.settings import RuntimeSettings
from postmill.web.server import WebServer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Collection, MutableMapping
    from typing import Any

    from playwright.async_api import Browser
    from psycopg import Connection

    from postmill.model.config.address import Address

BUILT = ROOT / "build" / "pictures"
CRAWLED = 120
"""Pages of the site in the README's picture: enough that its map is at work for seconds."""
FIRST_PAGES_S = 1.5
"""After that time of a run, its map is in the middle of its work."""
LOOKS = [(width, theme) for width in (1440, 390) for theme in ("light", "dark")]
GRACE_S = 5.0
"""For requests that are under way when the server stops. None takes longer than its query may: 2 s."""


async def _anybody(_: MutableMapping[str, Any]) -> Viewer:
    return Viewer("ada", Role.OPERATOR)


@asynccontextmanager
async def served(where: Address) -> AsyncIterator[str]:
    """The dashboard over a database, with the functions of the examples; gives its address."""
    host = Host(ROOT / "examples" / "functions", RuntimeSettings(), {}, {}, None)
    await host.start()
    dashboard = application(db_url=where.url, authorize=_anybody, functions=host)
    server = WebServer("127.0.0.1", 0)
    try:
        await host.start_function("hello")
        yield await server.start(dashboard)
    finally:
        dashboard.end_streams()
        await server.stop(GRACE_S)
        await dashboard.close()
        await host.stop(GRACE_S)


@asynccontextmanager
async def chromium() -> AsyncIterator[Browser]:
    """A browser. Raises ``FileNotFoundError`` without one."""
    path = shutil.which("chromium")
    if path is None:
        raise FileNotFoundError("There is no chromium: make test-deps installs it.")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser
        await browser.close()


async def readme(where: Address) -> None:
    """Take the picture of a run that works."""
    with processes.site(CRAWLED) as pages, demo.started("examples.flows.site:site"):
        async with served(where) as address, chromium() as browser:
            run = await site.start(Site(pages))
            await asyncio.sleep(FIRST_PAGES_S)
            page = await browser.new_page(viewport={"width": 1280, "height": 1000})
            await page.goto(f"{address}/runs/{run.run_id}")
            await page.screenshot(path=FOLDER / "run.png")
            await run.result(timeout=PATIENCE_S)


async def every_page(where: Address, names: Collection[str]) -> None:
    """Take pictures of the pages that are named so, of all without names."""
    with app.connection(app.load_settings({})) as connection:
        connection.row_factory = dict_row
        paths = busy.pages(connection, busy.filled(connection))
        async with served(where) as address, chromium() as browser, beating(connection):
            for width, theme in LOOKS:
                context = await browser.new_context(
                    viewport={"width": width, "height": 900},
                    color_scheme="dark" if theme == "dark" else "light",
                )
                page = await context.new_page()
                for name, path in paths.items():
                    if not names or name in names:
                        await page.goto(address + path)
                        await page.screenshot(path=BUILT / f"{name}-{width}-{theme}.png", full_page=True)


@asynccontextmanager
async def beating(connection: Connection[Any]) -> AsyncIterator[None]:
    """Meanwhile the workers' hearts beat."""

    async def beat() -> None:
        while True:
            await asyncio.to_thread(busy.beat, connection)
            await asyncio.sleep(2)

    beats = asyncio.ensure_future(beat())
    yield
    beats.cancel()
    with suppress(asyncio.CancelledError):
        await beats


async def main(names: Collection[str]) -> None:
    """Take them."""
    with app.database(app.load_settings({})) as where:
        if "readme" in names:
            await readme(where)
        else:
            await every_page(where, names)


if __name__ == "__main__":
    os.environ["PYTHONPATH"] = str(ROOT)  # the site and the worker are started elsewhere
    with tempfile.TemporaryDirectory() as folder, chdir(folder):
        asyncio.run(main(sys.argv[1:]))
        subprocess.run([*POSTMILL, "db", "stop", "-y"], capture_output=True, check=False)
