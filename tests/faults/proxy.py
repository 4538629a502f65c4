"""A network between worker and server that can be made bad: slow, stalled, silent, cut.

A TCP proxy on 127.0.0.1 to a server's Unix socket, or to a pooler's port there. ``mode`` holds
for open connections and for new ones.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Literal
from urllib.parse import parse_qs, urlsplit

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

Mode = Literal["pass", "silent", "refuse"]


class Proxy:
    """One address in front of one server."""

    def __init__(self, target: str | int, user: str, database: str) -> None:
        self._target = target
        self._login = user, database
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._forgotten: set[asyncio.StreamWriter] = set()
        self._stuck: set[asyncio.StreamReader] = set()
        self._newest: asyncio.StreamReader | None = None
        self._pumps: set[asyncio.Task[None]] = set()
        self.mode: Mode = "pass"
        """``silent``: half-open, connections are accepted and nothing is ever answered. ``refuse``: cut."""
        self._vanished = False
        self._flowing = asyncio.Event()
        self._flowing.set()
        self.holds_ends = False
        """The end of a connection does not arrive, while what was said before it does."""
        self.delay_s = 0.0
        """How long each piece of an answer is held back."""

    @property
    def url(self) -> str:
        """The server's address by way of this proxy."""
        assert self._server is not None
        port = self._server.sockets[0].getsockname()[1]
        user, database = self._login
        return f"postgresql://{user}@127.0.0.1:{port}/{database}?sslmode=disable"

    async def open(self) -> None:
        """Take connections from now on."""
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)

    async def close(self) -> None:
        """Cut every connection, and take no more."""
        if self._server is not None:
            self._server.close()
        self.reset()
        for pump in self._pumps:
            pump.cancel()
        await asyncio.gather(*self._pumps, return_exceptions=True)

    def reset(self) -> None:
        """Cut every connection (TCP reset); new ones are made as ``mode`` says."""
        for writer in self._writers:
            writer.transport.abort()

    def stall(self) -> None:
        """Hold everything back in both directions, also the end of a connection, until :meth:`go_on`."""
        self._flowing.clear()

    def go_on(self) -> None:
        """Deliver what was held back."""
        self._flowing.set()

    def vanish(self) -> None:
        """As if the machine on this side were gone: nothing arrives any more, not even the end of a
        connection.
        """
        self.mode = "silent"
        self._vanished = True

    def forget(self) -> None:
        """Let every connection of this moment become half-open; new ones are made as ``mode`` says."""
        self._forgotten |= self._writers

    def stick(self) -> None:
        """Read nothing any more from the newest connection: soon its other end can send nothing."""
        assert self._newest is not None
        self._stuck.add(self._newest)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        self._newest = reader
        if self.mode == "refuse":
            writer.transport.abort()
            return
        await self._flowing.wait()
        with suppress(OSError):
            from_server, to_server = await self._open()
            self._writers.add(to_server)
            for source, target, answers in ((reader, to_server, False), (from_server, writer, True)):
                pump = asyncio.create_task(self._pump(source, target, answers=answers))
                self._pumps.add(pump)
                pump.add_done_callback(self._pumps.discard)

    async def _open(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if isinstance(self._target, int):
            return await asyncio.open_connection("127.0.0.1", self._target)
        return await asyncio.open_unix_connection(self._target)

    async def _pump(
        self, source: asyncio.StreamReader, target: asyncio.StreamWriter, *, answers: bool
    ) -> None:
        with suppress(OSError):
            while piece := await source.read(65536):
                if source in self._stuck:
                    await asyncio.Event().wait()
                if answers and self.delay_s:
                    await asyncio.sleep(self.delay_s)
                await self._flowing.wait()
                if self.mode != "silent" and target not in self._forgotten:
                    target.write(piece)
                    await target.drain()
        await self._flowing.wait()
        if self._vanished or self.holds_ends:
            await asyncio.Event().wait()
        target.transport.abort()


@asynccontextmanager
async def proxied(url: str) -> AsyncIterator[Proxy]:
    """A proxy to the server at ``url``, which listens on a Unix socket, or to the pooler there."""
    parts = urlsplit(url)
    query = parse_qs(parts.query)
    target: str | int = parts.port or f"{query['host'][0]}/.s.PGSQL.{query.get('port', ['5432'])[0]}"
    proxy = Proxy(target, parts.username or "", parts.path[1:])
    await proxy.open()
    try:
        yield proxy
    finally:
        await proxy.close()
