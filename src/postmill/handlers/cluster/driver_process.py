"""The driver: a process between a worker and a Ray cluster. ``python -m ... DESCRIPTOR``, a socket.

It ends when its worker does, and when the cluster's connection breaks. Its end ends its tasks: Ray sees to
that. Settles nothing and knows no queue.
"""

from __future__ import annotations

import asyncio
import os
import socket
import sys
import threading
import time
from contextlib import suppress
from select import select
from typing import TYPE_CHECKING, Any

import msgspec

from postmill.handlers.cluster.orders import (
    Boot,
    Ending,
    Failure,
    Kind,
    Ready,
    Refusal,
    decode_said,
    encode,
)
from postmill.model.error_text import traceback_of
from postmill.wire.channel import Channel, Framer
from postmill.wire.frames import HEAD

if TYPE_CHECKING:
    from postmill.handlers.cluster.ray_cluster import Cluster

CHECK_S = 1.0
"""Seconds between two questions to the cluster's head, and between two tries to reach it. 1 s: an idle driver
costs the head one answer a second.
"""
REACH_S = 5.0
"""How long one try to reach the head's port may take, in seconds. A machine that drops packets says nothing,
and a busy one answers within this time.
"""
LATE_S = 5.0
"""How long the end of a task waits for what the task has said before it, in seconds. It comes through one
more process, within milliseconds; where that process is gone it never comes.
"""


def main(descriptor: int) -> None:
    """Serve one worker until either side ends."""
    sock = socket.socket(fileno=descriptor)
    boot = msgspec.msgpack.decode(_first_frame(sock), type=Boot)
    cluster = _connected(sock, boot)
    asyncio.run(_Serving(cluster).serve(sock))


def _first_frame(sock: socket.socket) -> bytes:
    framer = Framer()
    while True:
        data = sock.recv(65536)
        if not data:
            sys.exit(0)  # the worker has ended before it said anything
        for _, _, payload in framer.feed(data):
            return payload


def _connected(sock: socket.socket, boot: Boot) -> Cluster:
    """The connection, once there is a cluster. What refuses this driver is told, and ends it."""
    said_away = False
    while (reason := _no_answer(boot.address)) is not None:
        if not said_away:
            _send(sock, Kind.AWAY, reason.encode())
            said_away = True
        if select([sock], [], [], CHECK_S)[0]:
            sys.exit(0)  # the worker has ended: it says nothing else before it is told that all is ready
    # Ray asks twenty times, a second apart, whether a token that was refused is accepted by now.
    os.environ.setdefault("RAY_NUM_REDIS_GET_RETRIES", "2")
    from postmill.handlers.cluster import ray_cluster  # noqa: PLC0415 - heavy, and of no use before

    try:
        cluster = ray_cluster.Cluster(boot.address, boot.path)
        _send(sock, Kind.READY, encode(Ready(cluster.lacking(boot.needs))))
    except ray_cluster.Unusable as error:
        _send(sock, Kind.REFUSED, encode(error.refusal))
        sys.exit(0)
    except ray_cluster.Unreachable as error:
        _send(sock, Kind.AWAY, str(error).encode())
        sys.exit(1)
    except Exception as error:
        refusal = Refusal("The Ray driver could not connect.", why=f"{type(error).__name__}: {error}.")
        _send(sock, Kind.REFUSED, encode(refusal))
        raise
    return cluster


def _no_answer(address: str) -> str | None:
    """Why nothing listens at the cluster's address; None when something does, or the address is for Ray to
    find out.
    """
    host, _, port = address.rpartition(":")
    if not host or not port.isdigit():
        return None
    try:
        socket.create_connection((host.strip("[]"), int(port)), REACH_S).close()
    except OSError as error:
        return f"{address}: {error.strerror or error}"
    return None


def _send(sock: socket.socket, kind: Kind, payload: bytes) -> None:
    sock.sendall(HEAD.pack(len(payload), kind, 0) + payload)


class _Serving:
    """Orders in, tasks to Ray, their ends out."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._tasks: dict[int, Any] = {}
        self._waits: set[asyncio.Task[None]] = set()
        self._heard: dict[int, Heard] = {}
        self._news = asyncio.Event()

    async def serve(self, sock: socket.socket) -> None:
        """Until the worker ends."""
        self._over = asyncio.Event()
        self._channel = Channel(self._on_frame, lambda _: self._over.set())
        await self._channel.attach(sock)
        threading.Thread(target=self._check, args=(asyncio.get_running_loop(),), daemon=True).start()
        listening = asyncio.create_task(self._listen())
        listening.add_done_callback(lambda _: self._over.set())
        await self._over.wait()
        os._exit(0)  # Ray's own way out waits for its threads; it ends the tasks either way

    def _check(self, loop: asyncio.AbstractEventLoop) -> None:
        """A thread: says that the head answers, as long as it does."""
        while True:
            self._cluster.check()
            loop.call_soon_threadsafe(self._channel.send, Kind.BEAT)
            time.sleep(CHECK_S)

    async def _listen(self) -> None:
        """Pass on what tasks say. Without that nothing tells when a task begins: the driver ends then."""
        while True:
            for said in await self._cluster.said():
                one = decode_said(said)
                if one.place == 0:
                    self._channel.send(Kind.SAID, one.call, said)
                elif one.call in self._heard:
                    self._pass_on(one.call, self._heard[one.call].take(one.place, said))
                    self._news.set()

    def _pass_on(self, call: int, said: list[bytes]) -> None:
        for each in said:
            self._channel.send(Kind.SAID, call, each)

    def _on_frame(self, kind: int, call: int, payload: bytes) -> None:
        match kind:
            case Kind.RUN:
                self._begin(call, payload)
            case Kind.CANCEL | Kind.KILL if call in self._tasks:
                self._cluster.cancel(self._tasks[call], force=kind == Kind.KILL)

    def _begin(self, call: int, order: bytes) -> None:
        try:
            self._tasks[call] = self._cluster.begin(order)
        except Exception as error:  # Ray refuses the task's options
            failure = Failure(type(error).__name__, str(error), traceback_of(error))
            self._channel.send(Kind.ENDED, call, encode(Ending("raised", failure=failure)))
        else:
            self._heard[call] = Heard()
            wait = asyncio.create_task(self._end(call))
            self._waits.add(wait)
            wait.add_done_callback(self._waits.discard)

    async def _end(self, call: int) -> None:
        ending = await self._cluster.ending_of(self._tasks[call])
        del self._tasks[call]
        await self._hear(call, ending)
        self._channel.send(Kind.ENDED, call, encode(ending))

    async def _hear(self, call: int, ending: Ending) -> None:
        """Wait until what the task has said before its end has come."""
        heard = self._heard[call]
        deadline = time.monotonic() + LATE_S
        while heard.last < ending.said and time.monotonic() < deadline:
            self._news.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(deadline - time.monotonic()):
                    await self._news.wait()
        self._pass_on(call, heard.rest())
        del self._heard[call]


class Heard:
    """What one task has said, put in order."""

    def __init__(self) -> None:
        self.last = 0
        """The place up to which all was passed on."""
        self._early: dict[int, bytes] = {}

    def take(self, place: int, said: bytes) -> list[bytes]:
        """Take in what has come; returns what is to be passed on now."""
        self._early[place] = said
        ready = []
        while self.last + 1 in self._early:
            self.last += 1
            ready.append(self._early.pop(self.last))
        return ready

    def rest(self) -> list[bytes]:
        """What has come without what was said before it."""
        return [self._early[place] for place in sorted(self._early)]


if __name__ == "__main__":
    main(int(sys.argv[1]))
