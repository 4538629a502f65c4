"""The worker that machines of the lab run, as a user would write it.

What its handler does is noted in a file, beside the database: a server that is lost, or put back to an older
state, can't take that with it.
"""

from __future__ import annotations

import asyncio
import os
import socket
import time
from pathlib import Path
from typing import Any

from postmill import Retry, worker

JOURNAL = "FLEET_JOURNAL"
"""Variable: the file in which each call is noted, one line when it begins and one when it has ended: the
message's number, the machine, ``began`` or ``done``, and what time it is there.
"""
LEASE_S = "FLEET_LEASE_S"
"""Variable: the visibility timeout."""
SLOTS = "FLEET_SLOTS"
"""Variable: how many messages run at once."""


@worker(
    queue="tasks",
    max_concurrent=int(os.environ.get(SLOTS, "4")),
    visibility_timeout=float(os.environ.get(LEASE_S, "10")),
    retry=Retry.fixed(0, 5),
    max_deliveries=100,
)
async def work(payload: dict[str, Any]) -> None:
    """Take ``s`` seconds. On the machine ``held_on`` it takes until the file ``until`` is there."""
    journal = Path(os.environ[JOURNAL])
    note(journal, f"{payload['id']} {socket.gethostname()} began {time.time():.0f}")
    await asyncio.sleep(payload.get("s", 0.0))
    if payload.get("held_on") == socket.gethostname():
        while not _is_there(payload["until"]):  # noqa: ASYNC110 - a file has no events
            await asyncio.sleep(0.02)
    note(journal, f"{payload['id']} {socket.gethostname()} done {time.time():.0f}")


def _is_there(path: str) -> bool:
    return Path(path).exists()


def note(journal: Path, line: str) -> None:
    """Add a line in one write: several processes on several machines share the file."""
    descriptor = os.open(journal, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    try:
        os.write(descriptor, f"{line}\n".encode())
    finally:
        os.close(descriptor)
