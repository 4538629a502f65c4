"""Why a server refused a login, as SQLSTATE. libpq does not pass it on, only the server's text, which may be
in any language; so asyncpg tries the login once more.

Only on the way to an error message. Decides nothing: see ``db.hot.outage`` for what a state means.
"""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import asyncpg

from postmill.client.asyncpg_connection import open_connection

if TYPE_CHECKING:
    from postmill.model.config.address import Address

TIMEOUT_S = 5.0
"""How long the second login may take, in seconds. 5 s: the server has just answered the first one, and the
user waits for the error message.
"""


def refusal(address: Address) -> asyncpg.PostgresError | None:
    """What the server answers to another login; None when no error comes from the server itself. Blocks."""
    with ThreadPoolExecutor(1) as thread:  # the caller's own may have an event loop that runs
        return thread.submit(asyncio.run, _refusal(address)).result()


async def _refusal(address: Address) -> asyncpg.PostgresError | None:
    try:
        async with asyncio.timeout(TIMEOUT_S):
            connection = await open_connection(address, "postmill", timeout_s=TIMEOUT_S)
    except asyncpg.PostgresError as error:
        return error
    except Exception:  # asyncpg may refuse the address: then libpq's text has to do
        return None
    connection.terminate()
    return None
