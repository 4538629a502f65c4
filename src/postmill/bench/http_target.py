"""A web server that answers every request at once, for ``bench calls``. Prints its port, and ends when its
input ends.

Understands only what the benchmark sends: requests whose bodies have a length.
"""

from __future__ import annotations

import asyncio
import sys
from typing import cast

from postmill.engine.worker_process import run

_ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 11\r\n\r\n" + b'{"ok":true}'
_LENGTH = b"content-length:"
_END = b"\r\n\r\n"


class Target(asyncio.Protocol):
    """One connection."""

    def __init__(self) -> None:
        self._heard = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See :class:`asyncio.Protocol`."""
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """See :class:`asyncio.Protocol`."""
        self._heard += data
        head, end, body = self._heard.partition(_END)
        if not end or self._transport is None:
            return
        at = head.lower().find(_LENGTH)
        length = 0 if at < 0 else int(head[at + len(_LENGTH) :].split(b"\r\n", 1)[0])
        if len(body) >= length:
            self._heard = body[length:]
            self._transport.write(_ANSWER)


async def main() -> None:
    """Answer until standard input is closed."""
    server = await asyncio.get_running_loop().create_server(Target, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await asyncio.to_thread(sys.stdin.read)
    server.close()


if __name__ == "__main__":
    run(main())
