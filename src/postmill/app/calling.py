"""The wiring of calls: beside what is served, and in a process of their own."""

from __future__ import annotations

import os
from contextlib import asynccontextmanager
from importlib.util import find_spec
from typing import TYPE_CHECKING

from postmill.model.calls.address_guard import AddressGuard
from postmill.model.calls.call_queue import FunctionHost
from postmill.model.config.settings import STATE_FOLDER
from postmill.model.errors import NotFound, Refused
from postmill.model.events import Event

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from postmill.calls.calling import Calling
    from postmill.gateway.readiness import Readiness
    from postmill.model.config.address import Address
    from postmill.model.config.settings import Settings
    from postmill.service.events import Events

INSTALL_CALLS = "pip install 'postmill[calls]'"
"""What a user types who wants calls."""


@asynccontextmanager
async def calls_beside(
    settings: Settings, where: Address, readiness: Readiness, events: Events, host: FunctionHost
) -> AsyncIterator[Callable[[], None]]:
    """Make calls beside what is served, also to what is served. What it yields begins their end: no call is
    begun that would meet functions which end.
    """
    if not settings.makes_calls:
        yield lambda: None
        return
    if not can_make_calls():
        events.emit(Event.CALLS_OFF, reason=f"aiohttp is not installed: {INSTALL_CALLS}")
        yield lambda: None
        return
    calling = _calling(settings, where, host)
    readiness.checks.append(lambda: calling.trouble)
    calling.start()
    try:
        yield calling.ask_to_stop
    finally:
        await calling.stop()


def _calling(settings: Settings, where: Address, host: FunctionHost | None) -> Calling:
    from postmill.auth.secret_store import Secrets  # noqa: PLC0415
    from postmill.calls.calling import Calling  # noqa: PLC0415

    secrets = Secrets(settings.project_dir / STATE_FOLDER)
    return Calling(where, settings.call_addresses or AddressGuard(), host, secrets.values)


def can_make_calls() -> bool:
    """Whether what calls need is installed."""
    return find_spec("aiohttp") is not None


def check_calls() -> None:
    """Raises ``Refused`` when what calls need is not installed."""
    if not can_make_calls():
        raise Refused("Calls can't be made here.", why="aiohttp is not installed.", hint=INSTALL_CALLS)


def run_calls(
    settings: Settings, where: Address, on_stop: Callable[[int], None], probe: tuple[str, int] | None = None
) -> None:
    """Make calls until a signal asks for the end. Call queues of functions run here when the settings say
    where these are served. Raises ``Refused`` when aiohttp is not installed, or the project's keys can't be
    had.
    """
    check_calls()
    from postmill.auth import key_file  # noqa: PLC0415
    from postmill.calls.calls_process import run as run_until_stopped  # noqa: PLC0415
    from postmill.engine.worker_process import run  # noqa: PLC0415

    host = None
    if settings.functions_url is not None:
        keys = key_file.load(settings.project_dir / STATE_FOLDER, os.environ)
        if keys is None:
            raise NotFound(
                "The project has no keys, and functions would refuse its calls.",
                hint="Set POSTMILL_JWT_SECRET as where functions are served, or leave functions_url out.",
            )
        host = FunctionHost(settings.functions_url, keys.service_role)
    run(run_until_stopped(lambda: _calling(settings, where, host), on_stop, probe))
