"""Five connections of one process that send messages with unique keys, until the process is killed.

What the server complains of goes to the standard error.
"""

from __future__ import annotations

import asyncio
import random
import sys
from contextlib import suppress

import asyncpg

CONNECTIONS = 5
KEYS = [f"k{number}" for number in range(30)]
"""So few that every batch meets keys that others have, or are about to take."""

SEND = "select * from postmill.send_jobs('tasks', $1::jsonb[], unique_keys => $2, on_conflict => $3)"


class _Regret(Exception):
    """The sender's own error: its transaction is rolled back."""


async def _send(connection: asyncpg.Connection, on_conflict: str) -> None:
    keys = random.sample(KEYS, random.choice([1, 1, 5, 20]))
    async with connection.transaction():
        await connection.fetch(SEND, ["1"] * len(keys), keys, on_conflict)
        if random.random() < 0.2:
            await asyncio.sleep(0.003)
        if random.random() < 0.1:
            raise _Regret


async def _keep_sending(url: str, on_conflict: str) -> None:
    connection = await asyncpg.connect(url)
    while True:
        try:
            with suppress(_Regret):
                if random.random() < 0.2:  # what is sent within a savepoint is taken back alone
                    async with connection.transaction():
                        with suppress(_Regret):
                            await _send(connection, on_conflict)
                else:
                    await _send(connection, on_conflict)
        except asyncpg.PostgresError as error:
            sys.stderr.write(f"{type(error).__name__}: {error}\n")
            sys.stderr.flush()


async def _main(url: str, on_conflict: str) -> None:
    await asyncio.gather(*(_keep_sending(url, on_conflict) for _ in range(CONNECTIONS)))


if __name__ == "__main__":
    asyncio.run(_main(*sys.argv[1:3]))
