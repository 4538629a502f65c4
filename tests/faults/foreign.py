"""A server that speaks PostgreSQL's protocol and does not do all that PostgreSQL does: the real one, behind a
proxy that changes the texts of statements on their way, or that spreads sessions over two servers.

What such a server lacks it answers as the real one answers a word that it does not know, or by doing
something else. Threads and not a loop, so that a command that runs in the test's own thread can talk to it.
"""

from __future__ import annotations

import socket
import struct
from contextlib import contextmanager, suppress
from itertools import cycle
from threading import Thread
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

if TYPE_CHECKING:
    from collections.abc import Iterator

STATEMENTS = (b"Q", b"P")
"""Messages with the text of a statement: a simple query, and one that is prepared."""


LENGTH = struct.Struct(">I")
"""What stands before each message: how long it is, itself included."""


class Foreign:
    """In front of the server at ``url``, which listens on a Unix socket. In each statement every text of
    ``instead`` becomes another. Every second connection is to the server at ``other_url``, if there is one.
    """

    def __init__(self, url: str, instead: dict[str, str], other_url: str | None = None) -> None:
        parts = urlsplit(url)
        self._targets = cycle(map(_socket, (url, other_url or url)))
        self._instead = {old.encode(): new.encode() for old, new in instead.items()}
        self.changed = 0
        """Statements that had such a text."""
        self._listening = socket.create_server(("127.0.0.1", 0))
        port = self._listening.getsockname()[1]
        self.url = f"postgresql://{parts.username}@127.0.0.1:{port}{parts.path}?sslmode=disable"
        self._open: list[socket.socket] = []
        Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        """Cut every connection, and take no more."""
        for each in (self._listening, *self._open):
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listening.accept()
                server = socket.socket(socket.AF_UNIX)
                self._open += (client, server)
                server.connect(next(self._targets))
                Thread(target=self._statements, args=(client, server), daemon=True).start()
                Thread(target=self._answers, args=(server, client), daemon=True).start()

    def _statements(self, client: socket.socket, server: socket.socket) -> None:
        with suppress(OSError), client.makefile("rb") as messages:
            before = 0  # the first message is of no kind
            while head := messages.read(before + LENGTH.size):
                kind = head[:before]
                body = messages.read(LENGTH.unpack(head[before:])[0] - LENGTH.size)
                if kind in STATEMENTS:
                    body = self._translated(body)
                server.sendall(kind + LENGTH.pack(len(body) + LENGTH.size) + body)
                before = 1
        _end(client, server)

    def _translated(self, body: bytes) -> bytes:
        new = body
        for old, instead in self._instead.items():
            new = new.replace(old, instead)
        self.changed += new != body
        return new

    def _answers(self, server: socket.socket, client: socket.socket) -> None:
        with suppress(OSError):
            while piece := server.recv(65536):
                client.sendall(piece)
        _end(client, server)


def _socket(url: str) -> str:
    query = parse_qs(urlsplit(url).query)
    return f"{query['host'][0]}/.s.PGSQL.{query.get('port', ['5432'])[0]}"


def _end(*connections: socket.socket) -> None:
    for each in connections:
        with suppress(OSError):
            each.shutdown(socket.SHUT_RDWR)


@contextmanager
def foreign(url: str, instead: dict[str, str], other_url: str | None = None) -> Iterator[Foreign]:
    """Such a server for a while."""
    made = Foreign(url, instead, other_url)
    try:
        yield made
    finally:
        made.close()
