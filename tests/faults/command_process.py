"""A process that fires schedules and runs their SQL commands, until it is killed.

``python -m tests.faults.command_process URL``
"""

from __future__ import annotations

import asyncio
import sys

from tests.service.commands import firing


async def main(url: str) -> None:
    async with firing(url):
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
