"""A process whose main job is to serve functions: signals in, an end out.

The first signal closes the port and drains, a second one forces.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING

from postmill.model.errors import HostFailed
from postmill.service.stop_requests import heard

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from postmill.gateway.application import Gateway
    from postmill.gateway.readiness import Readiness
    from postmill.gateway.trust import Trust
    from postmill.host.host import Host
    from postmill.service.service import Service
    from postmill.web.server import WebServer

CUT_S = 1.0
"""How long connections may take to close after their function has ended, in seconds. They have nothing to
wait for; 1 s is for a busy machine.
"""


class ServingProcess:
    """A host and its gateway, until a signal asks for the end."""

    def __init__(
        self,
        host: Host,
        app: Gateway,
        server: WebServer,
        trust: Trust,
        readiness: Readiness,
        *,
        grace_s: float,
        reload: bool,
        start_all: bool,
        on_listening: Callable[[], None],
        on_stop: Callable[[bool], None],
    ) -> None:
        """``on_listening`` is called once functions can be called; ``on_stop`` at each request to stop, with
        whether it forces.
        """
        self._host = host
        self._app = app
        self._server = server
        self._trust = trust
        self._readiness = readiness
        self._grace_s = grace_s
        self._reload = reload
        self._start_all = start_all
        self._on_listening = on_listening
        self._on_stop = on_stop
        self._asked = asyncio.Event()
        self._forced = asyncio.Event()
        self._failure: HostFailed | None = None

    async def run(self) -> None:
        """Serve until a signal asks for the end. Raises what keeps the host or the gateway from starting, and
        :class:`HostFailed` when a part of the host can't be kept alive.
        """
        with heard(self.stop, self._asked.is_set):
            try:
                await self._unless_forced(self._serve())
            finally:
                await self._end()
        if self._failure is not None:
            raise self._failure

    def can_not_go_on(self, service: Service) -> None:
        """A part of the host has failed for good: end in good order, with an error."""
        self._failure = self._failure or HostFailed(
            "The function host can't go on.",
            why=f"{service.trouble}.",
            hint="The log says what it met (service.failed). Start the process again, and report a bug.",
        )
        self._asked.set()
        self._readiness.stopping()

    def stop(self) -> None:
        """Ask for the end. Asked again, end the grace, and a start that is under way."""
        forcing = self._asked.is_set()
        if forcing:
            self._forced.set()
        self._asked.set()
        self._readiness.stopping()
        self._on_stop(forcing)  # last: printing can fail

    async def _serve(self) -> None:
        await self._trust.start()
        await self._host.start(reload=self._reload)
        await self._server.start(self._app)
        self._on_listening()
        asked = asyncio.create_task(self._asked.wait())
        if self._start_all:
            starting = asyncio.create_task(self._host.start_workers())
            await asyncio.wait({starting, asked}, return_when=asyncio.FIRST_COMPLETED)
            if not starting.done():
                starting.cancel()
                await asyncio.gather(starting, return_exceptions=True)
        self._readiness.started()
        await asked

    async def _end(self) -> None:
        """Close the port, let running requests finish, then end every isolate, which cuts responses that
        still stream.
        """
        self._server.stop_accepting()
        await self._unless_forced(self._host.stop(self._grace_s))
        if self._forced.is_set():
            await self._host.stop(0)
        await self._unless_forced(self._server.stop(CUT_S))
        await self._unless_forced(self._app.close())
        await self._trust.stop()

    async def _unless_forced(self, work: Coroutine[None, None, None]) -> None:
        working = asyncio.create_task(work)
        forced = asyncio.create_task(self._forced.wait())
        await asyncio.wait({working, forced}, return_when=asyncio.FIRST_COMPLETED)
        forced.cancel()
        if not working.done():
            working.cancel()
        with suppress(asyncio.CancelledError):
            await working
