"""What the host and an isolate say to each other: kinds of frames, their contents, and their form in bytes.

A frame is a head (length, kind, stream) and a payload. Stream 0 is the isolate itself, every other number one
ASGI exchange. Bodies travel as they are; everything else is msgpack. Knows no sockets.
"""

from __future__ import annotations

from enum import IntEnum
from struct import Struct as Layout
from typing import Any

import msgspec

HEAD = Layout("<IBI")
LARGEST = 64 * 1024 * 1024
"""The most bytes in one frame. 64 MiB: far more than any frame has, since bodies go in pieces of 64 KiB. A
head that says more was not written by the host or the isolate.
"""
WINDOW = 256 * 1024
"""Bytes of body that may be under way in one direction of one exchange, not yet taken by the other side. 256
KiB are four chunks: enough that neither side waits for the other, and little memory for thousands of
exchanges.
"""
CHUNK = 64 * 1024
"""Bytes of body in one frame. 64 KiB: what one read of a socket gives at most, so that a chunk of one
exchange delays the others by well below a millisecond.
"""


class Kind(IntEnum):
    """What a frame says. The host opens, the isolate answers; bodies, messages and grants go both ways."""

    BOOT = 1
    BOOTED = 2
    BOOT_FAILED = 3
    OPEN = 4
    START = 5
    BODY = 6
    LAST_BODY = 7
    MESSAGE = 8
    """An ASGI message of a WebSocket."""
    GRANT = 9
    """This number of bytes was taken: as many more may be sent."""
    RESET = 10
    """The client is gone, or the host waits no longer."""
    END = 11
    """The application has returned."""
    RAISED = 12
    PENDING = 13
    """How much ``wait_until`` work there is."""
    RETIRE = 14
    WARN = 15
    STOP = 16
    WORKERS = 17
    """The ids under which an isolate's workers claim."""
    EXHAUSTED = 18
    """An allocation failed."""
    CLAIMING = 19
    """The workers of an isolate are at work."""
    RESPONSE = 20
    """A whole response at once."""
    PING = 21
    """The host asks whether the event loop turns."""
    PONG = 22


class Account(msgspec.Struct, frozen=True):
    """The account that an isolate runs as."""

    name: str
    uid: int
    gid: int
    groups: list[int]
    home: str


class Boot(msgspec.Struct, frozen=True):
    """All that an isolate is told before it imports anything of the user's."""

    slug: str
    path: str
    folder: str
    """Where shared code is."""
    execution_id: str
    env: dict[str, str]
    memory_bytes: int
    cpu_s: float
    """CPU seconds after which the kernel ends the process; 0: none."""
    grace_s: float
    """Seconds that running messages may take after a worker is retired. The host decides when it ends."""
    threads: int = 1
    """How many threads plain ``def`` code may have."""
    concurrency: int = 1
    account: Account | None = None
    """None: the account that the host runs as."""


class Booted(msgspec.Struct, frozen=True):
    """An isolate is ready."""

    kind: str
    """``handler``, ``app`` or ``worker``."""


class Trouble(msgspec.Struct, frozen=True):
    """What user code raised."""

    summary: str
    traceback: str


class Opening(msgspec.Struct, array_like=True):
    """The scope of an exchange: what ASGI says of a connection, without what only one process can hold."""

    type: str
    method: str
    path: str
    raw_path: bytes | None
    query_string: bytes
    root_path: str
    headers: list[tuple[bytes, bytes]]
    scheme: str
    http_version: str
    client: tuple[str, int | None] | None
    server: tuple[str, int | None] | None
    subprotocols: list[str]
    state: dict[str, Any]
    """Plain values that the gateway adds, such as the caller's role."""
    has_body: bool
    """Whether frames with a body follow."""


class Start(msgspec.Struct, array_like=True):
    """The beginning of a response."""

    status: int
    headers: list[tuple[bytes, bytes]]


class Response(Start, array_like=True):
    """A response whose body was there together with its beginning."""

    body: bytes


class BrokenFrame(Exception):
    """Bytes that are no frame: user code wrote into the channel."""
