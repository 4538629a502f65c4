"""A process that only makes calls.

``python -m tests.faults.calls_process URL FUNCTIONS_URL [unlocked]``; ``unlocked``: without the lock by which
a call is sent once.
"""

from __future__ import annotations

import asyncio
import sys

from postmill.calls import call_claims
from postmill.calls.calling import Calling
from postmill.model.calls.address_guard import AddressGuard
from postmill.model.calls.call_queue import FunctionHost
from postmill.model.config.address import Address
from postmill.sql.catalog import statement


def without_the_lock(name: str) -> str:
    return statement(name).replace("for update skip locked", "")


async def main(url: str, functions_url: str, *options: str) -> None:
    if options:
        vars(call_claims)["statement"] = without_the_lock
    host = FunctionHost(functions_url, "key")
    calling = Calling(Address(url), AddressGuard(is_open=True), host, dict)
    calling.start()
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
