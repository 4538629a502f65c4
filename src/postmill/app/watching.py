"""The wiring of the dashboard: beside what is served, and in a process of its own. It has a port of its
own, since what functions answer must never come from its origin.
"""

from __future__ import annotations

import asyncio
import gc
import os
import time
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from postmill.model.config.dashboard_settings import PORT
from postmill.model.config.settings import STATE_FOLDER
from postmill.model.errors import InvalidOption, Refused

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from postmill.auth.keys import ProjectKeys
    from postmill.dashboard.application import Dashboard
    from postmill.dashboard.security.keys import Keys
    from postmill.dashboard.several import Dashboards
    from postmill.model.config.address import Address
    from postmill.model.config.settings import Settings
    from postmill.model.functions.steering import WatchedFunctions

READER_KEY = "POSTMILL_READER_KEY"
"""The variable that holds the key of those who may look and not act."""
GRACE_S = 1.0
"""How long pages that are under way may take at the end, in seconds. A page takes some milliseconds, and a
read of the database two seconds at most.
"""


@asynccontextmanager
async def dashboard_beside(
    settings: Settings,
    where: Address,
    keys: ProjectKeys,
    functions: WatchedFunctions,
    on_listening: Callable[[str], None],
) -> AsyncIterator[None]:
    """Serve the dashboard beside functions, unless the settings say not to."""
    if not settings.dashboard.serve:
        yield
        return
    async with _served(settings, _dashboard(settings, where, _opening(settings, keys), functions)) as url:
        on_listening(url)
        yield


def run_dashboard(settings: Settings, where: Address, on_listening: Callable[[str], None]) -> None:
    """Serve the dashboard until a signal asks for the end. ``on_listening`` is given a link that signs in
    once. Raises ``Refused`` for an address that others can reach without keys made on purpose, and
    ``InvalidOption`` for a port that can't be had.
    """
    from postmill.auth import key_file  # noqa: PLC0415 - other commands need none of this
    from postmill.engine.worker_process import run  # noqa: PLC0415
    from postmill.service.stop_requests import heard  # noqa: PLC0415

    keys = key_file.load_or_create(settings.project_dir / STATE_FOLDER, os.environ)
    dashboard = _dashboard(settings, where, _opening(settings, keys), None)

    async def serve() -> None:
        asked = asyncio.Event()
        with heard(asked.set, asked.is_set):
            async with _served(settings, dashboard) as url:
                on_listening(f"{url}/sign-in?once={dashboard.access.new_ticket()}")
                gc.freeze()  # what stays to the end need not be looked through while a page is drawn
                await asked.wait()

    run(serve())


@asynccontextmanager
async def _served(settings: Settings, dashboard: Dashboard | Dashboards) -> AsyncIterator[str]:
    """Listen, and at the end stop: first the streams, which would be waited for."""
    from postmill.dashboard.prefixed import Prefixed  # noqa: PLC0415
    from postmill.web.server import WebServer  # noqa: PLC0415

    host, port = settings.dashboard.host, settings.dashboard.port
    server = WebServer(host, PORT if port is None else port)
    try:
        url = server.listen()
    except InvalidOption:
        if port is not None:
            raise
        server = WebServer(host, 0)  # that of another project has the usual port
        url = server.listen()
    prefix = settings.dashboard.prefix
    await server.start(Prefixed(dashboard, prefix) if prefix else dashboard)
    try:
        yield url + prefix
    finally:
        dashboard.end_streams()
        await server.stop(GRACE_S)
        await dashboard.close()


def _dashboard(
    settings: Settings, where: Address, keys: Keys, functions: WatchedFunctions | None
) -> Dashboard | Dashboards:
    """Over all of several databases, unless one was chosen; else over that at ``where``."""
    from postmill.dashboard import application, several  # noqa: PLC0415

    chosen, databases = settings.dashboard, settings.databases
    made = (
        partial(application, db_url=where.url)
        if databases is None or settings.is_chosen
        else partial(several, databases)
    )
    return made(
        keys=keys,
        read_only=chosen.read_only,
        hosts=chosen.hosts,
        redact=chosen.redact,
        trace_url=chosen.trace_url,
        functions=functions,
    )


def _opening(settings: Settings, keys: ProjectKeys) -> Keys:
    """What opens it: the project's secret keys, a reader's, and those issued to a name. Keys that were made
    by themselves are for this machine only.
    """
    from postmill.api.keys import ViewerKeys  # noqa: PLC0415
    from postmill.auth import key_file  # noqa: PLC0415
    from postmill.dashboard.security.keys import Keys  # noqa: PLC0415
    from postmill.gateway.exposure import is_loopback  # noqa: PLC0415

    given = key_file.load(settings.project_dir / STATE_FOLDER, os.environ)
    if given is None and not is_loopback(settings.dashboard.host):
        raise Refused(
            f"The dashboard is not served on {settings.dashboard.host} without keys of this project's own.",
            why="Other machines can reach that address.",
            hint="Run postmill init, or set POSTMILL_JWT_SECRET; or listen on 127.0.0.1.",
        )
    reader = os.environ.get(READER_KEY, "")
    opening = Keys(
        operator=(keys.secret, keys.service_role),
        reader=(),
        signing=keys.jwt_secret,
        issued=ViewerKeys(keys, time.time),
    )
    return replace(opening, reader=(reader,)) if reader else opening
