"""What one connection may cost. Every byte that a client sends counts against one of these bounds."""

from __future__ import annotations

import resource
from dataclasses import dataclass

SPARE_DESCRIPTORS = 256
"""File descriptors that are kept free of connections. 256: for files and pipes, and the four of each isolate.
"""
FEWEST_CONNECTIONS = 16
"""Connections that are accepted however low the limit of descriptors is: 16 are enough for two browsers,
which open six each.
"""


@dataclass(frozen=True, slots=True)
class ConnectionLimits:
    """Bounds for any client. An ordinary client never reaches one."""

    connections: int = 4096
    """At a time; for one more the connection that has been silent for longest is closed."""
    head_bytes: int = 64 * 1024
    """Request line and headers."""
    headers: int = 200
    """Header lines of one request. Browsers send about 20; each one costs more memory than its bytes."""
    head_s: float = 10.0
    """From the first byte of a head, or from the connection, to the end of the head."""
    trailer_bytes: int = 8 * 1024
    """Trailers of one chunked body. They are read and dropped."""
    extension_bytes: int = 16 * 1024
    """Chunk extensions of one body. They are read and dropped; signed uploads send 90 bytes a chunk."""
    unread_bytes: int = 16 * 1024 * 1024
    """What is still read of a body that the answer did not wait for: its sender reads the answer then."""
    unread_s: float = 10.0
    """How long that may take."""
    stalled_s: float = 60.0
    """How long a client may read nothing of its answer, in seconds. A phone in a tunnel is away for less."""
    needs_host: bool = True
    """Whether a request of HTTP/1.1 has to name its host, as the standard says (RFC 9112, 3.2). A probe has
    one only, and is also asked by hand."""
    idle_s: float = 65.0
    """Seconds between two requests. Load balancers close an idle connection after 60 s, and they have to be
    first: otherwise a request of theirs could meet a closed connection.
    """


def raise_connection_limit() -> ConnectionLimits:
    """Raise this process's limit of descriptors as far as it may be. Return what connections then fit."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = ConnectionLimits().connections + SPARE_DESCRIPTORS
    if soft < wanted:
        soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    fitting = max(FEWEST_CONNECTIONS, soft - SPARE_DESCRIPTORS)
    return ConnectionLimits(connections=min(ConnectionLimits().connections, fitting))
