"""The dashboard on a port, and a person's pages of it in chromium."""

from __future__ import annotations

import asyncio
import shutil
import threading
from typing import TYPE_CHECKING, Any

from postmill.dashboard import several
from postmill.dashboard.application import application
from postmill.host.host import Host
from postmill.model.databases.databases import Databases
from postmill.model.functions.settings import RuntimeSettings
from postmill.web.server import WebServer

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from playwright.sync_api import Browser, Page

    from postmill.dashboard.security.keys import Keys
    from postmill.web.asgi import Receive, Scope, Send

CHROMIUM = shutil.which("chromium")


class Served:
    """The dashboard on a port, with an event loop in a thread of its own."""

    def __init__(self, database_url: str | Mapping[str, str], keys: Keys, functions: Path) -> None:
        """``database_url``: or several, by their names. ``functions``: the folder of those that its process
        hosts.
        """
        self.streams = 0
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run(database_url, keys, functions)))
        self._thread.start()
        assert self._ready.wait(20)

    async def _run(self, database_url: str | Mapping[str, str], keys: Keys, functions: Path) -> None:
        self._loop, self._asked = asyncio.get_running_loop(), asyncio.Event()
        host = Host(functions, RuntimeSettings(), {}, {}, None)
        await host.start()
        dashboard = (
            application(db_url=database_url, keys=keys, functions=host)
            if isinstance(database_url, str)
            else several(Databases.of(dict(database_url)), keys=keys, functions=host)
        )
        server = WebServer("127.0.0.1", 0)

        async def counted(scope: Scope, receive: Receive, send: Send) -> None:
            watches = scope.get("path") == "/live"
            self.streams += watches
            try:
                await dashboard(scope, receive, send)
            finally:
                self.streams -= watches

        self.url = await server.start(counted)
        self.link = f"{self.url}/sign-in?once={dashboard.access.new_ticket()}"
        self._ready.set()
        await self._asked.wait()
        dashboard.end_streams()
        await server.stop(5)
        await dashboard.close()
        await host.stop(5)

    def stop(self) -> None:
        """End it, in good order."""
        self._loop.call_soon_threadsafe(self._asked.set)
        self._thread.join(20)


def opened(
    chromium: Browser,
    served: Served,
    said: list[str],
    width: int = 1440,
    theme: str = "light",
    **more: Any,
) -> Page:
    """A page of an operator who has signed in."""
    viewport = {"width": width, "height": 900}
    context = chromium.new_context(viewport=viewport, color_scheme=theme, **more)  # type: ignore[arg-type]
    page = context.new_page()
    page.on("console", lambda line: said.append(f"console: {line.text}"))
    page.on("pageerror", lambda error: said.append(f"error: {error}"))
    page.on("request", lambda sent: said.append(sent.url) if not sent.url.startswith(served.url) else None)
    page.goto(served.link)
    return page
