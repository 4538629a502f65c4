"""One function at work in a process of its own: serves exchanges, reports, and does what the host says."""

from __future__ import annotations

import asyncio
import logging
import os
from functools import partial
from typing import TYPE_CHECKING, Any

import msgspec

from postmill.isolate import orphans, threads
from postmill.isolate.exchange import ClientGone, Exchange
from postmill.isolate.handler import application
from postmill.isolate.last_words import last_words
from postmill.isolate.lifespan import Lifespan
from postmill.isolate.lifetime import lifetime
from postmill.isolate.loading import BootError
from postmill.isolate.mounting import mounted
from postmill.isolate.workers import Workers
from postmill.wire.channel import Channel
from postmill.wire.frames import Booted, Kind, Opening
from postmill.wire.stream import Stream

if TYPE_CHECKING:
    import socket
    from collections.abc import Coroutine

    from postmill.isolate.loading import Entry
    from postmill.wire.frames import Boot

_encode = msgspec.msgpack.Encoder().encode
_decode_opening = msgspec.msgpack.Decoder(Opening).decode


class Isolate:
    """From boot to exit."""

    def __init__(self, boot: Boot, entry: Entry) -> None:
        self._boot = boot
        self._entry = entry
        self._exchanges: dict[int, Exchange] = {}
        self._lifespan: Lifespan | None = None
        self._workers: Workers | None = None
        self._ending = asyncio.Event()
        self._retired = asyncio.Event()
        self._channel = Channel(self._on_frame, self._on_lost)
        self._tasks: set[asyncio.Task[None]] = set()
        self._application = application(entry.target) if entry.kind == "handler" else mounted(entry.target)

    async def run(self, sock: socket.socket) -> None:
        """Until the host says stop, or the workers have ended."""
        lifetime.loop = asyncio.get_running_loop()
        lifetime.on_pending = lambda count: self._channel.send(Kind.PENDING, 0, count.to_bytes(4, "little"))
        threads.make_room(self._boot.threads)
        await self._channel.attach(sock)
        orphans.look_for_ever()
        try:
            await self._boot_up()
        except BootError as error:
            self._channel.send(Kind.BOOT_FAILED, 0, _encode(error.trouble))
        else:
            await (self._work(self._workers) if self._workers is not None else self._ending.wait())
            await lifetime.tell(lifetime.unload)
            if self._lifespan is not None:
                await self._lifespan.stop()
            await last_words()
        self._ending.set()
        self._channel.close()
        await asyncio.sleep(0)

    async def _boot_up(self) -> None:
        if self._entry.kind == "app":
            self._lifespan = Lifespan(self._application)
            await self._lifespan.start()
        elif self._entry.kind == "worker":
            self._workers = Workers(self._entry.target, self._boot.grace_s, self._tell_ids)
        if self._entry.kind != "worker" and self._boot.concurrency > self._boot.threads:
            threads.tell_bound(self._boot.concurrency, self._boot.threads)
        self._channel.send(Kind.BOOTED, 0, _encode(Booted(self._entry.kind)))

    async def _work(self, workers: Workers) -> None:
        """Run the workers until they are retired, stopped or deprecated. Raises what ends the engine."""
        starting = asyncio.create_task(workers.start())
        ends = [asyncio.create_task(event.wait()) for event in (self._ending, self._retired)]
        await asyncio.wait({starting, *ends}, return_when=asyncio.FIRST_COMPLETED)
        if starting.done():
            starting.result()
            self._channel.send(Kind.CLAIMING)
            deprecated = asyncio.create_task(workers.until_deprecated())
            await asyncio.wait({deprecated, *ends}, return_when=asyncio.FIRST_COMPLETED)
        stopping = asyncio.create_task(workers.stop("retired" if self._retired.is_set() else "shutdown"))
        await asyncio.wait({stopping, ends[0]}, return_when=asyncio.FIRST_COMPLETED)
        if self._ending.is_set():
            workers.force()
        await stopping

    def _tell_ids(self, ids: list[str]) -> None:
        self._channel.send(Kind.WORKERS, 0, _encode(ids))

    def _on_frame(self, kind: int, number: int, payload: bytes) -> None:
        if kind == Kind.OPEN:
            self._open(number, payload)
        elif number:
            exchange = self._exchanges.get(number)
            if exchange is None:
                return  # it has ended meanwhile
            if kind == Kind.RESET:
                self._reset(exchange)
            else:
                exchange.stream.arrived(kind, payload)
        elif kind == Kind.WARN:
            self._begin(lifetime.tell(lifetime.before_unload, payload.decode()))
        elif kind == Kind.PING:
            self._channel.send(Kind.PONG)
        elif kind == Kind.RETIRE:
            self._retired.set()
        elif kind == Kind.STOP:
            self._ending.set()

    def _open(self, number: int, payload: bytes) -> None:
        state = self._lifespan.state if self._lifespan is not None else {}
        exchange = Exchange(Stream(self._channel, number), _decode_opening(payload), state)
        self._exchanges[number] = exchange
        exchange.task = asyncio.create_task(exchange.run(self._application))
        exchange.task.add_done_callback(partial(self._close, number))

    def _close(self, number: int, _task: asyncio.Task[None]) -> None:
        self._exchanges.pop(number).end()

    def _reset(self, exchange: Exchange) -> None:
        """The client is gone: an application is told and decides itself, a handler is cancelled."""
        exchange.stream.fail(ClientGone("the client is gone"))
        if self._entry.kind == "handler" and exchange.task is not None:
            exchange.task.cancel()

    def _begin(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _on_lost(self, error: BaseException | None) -> None:
        """The host is gone: exit at once. There is no process left to report to."""
        if not self._ending.is_set():
            logging.getLogger("postmill").warning("the channel to the host is lost: %s", error)
            os._exit(1)
