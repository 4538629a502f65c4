"""An application on a machine of the lab: it sends one message after the other until it is told to stop.

Run as ``python -m tests.fleet.sender URL NOTES FIRST_ID PAUSE_S``. In the file NOTES each message has a line
``about ID`` before it is sent, and ``sent ID`` when the database has said that it is committed. A message
between the two is one of which nobody knows, and it is never sent again under its id.
"""

from __future__ import annotations

import asyncio
import itertools
import signal
import sys
from pathlib import Path

from postmill import AsyncClient
from postmill.model.errors import PostmillError
from tests.fleet.handlers import note


async def main() -> None:
    """Send until SIGTERM."""
    url, notes, first, pause_s = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4])
    enough = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, enough.set)
    async with AsyncClient(url) as client:
        for number in itertools.count(first):
            if enough.is_set():
                return
            note(notes, f"about {number}")
            try:
                await client.send("tasks", {"id": number})
                note(notes, f"sent {number}")
            except (PostmillError, OSError) as error:
                print(number, str(error).splitlines()[0], flush=True)
            await asyncio.sleep(pause_s)


if __name__ == "__main__":
    asyncio.run(main())
