"""A process that only makes calls: ``python -m tests.faults.calls_process URL FUNCTIONS_URL``."""

from __future__ import annotations

import asyncio
import sys

from postmill.calls.calling import Calling
from postmill.model.calls.address_guard import AddressGuard
from postmill.model.calls.call_queue import FunctionHost
from postmill.model.config.address import Address


async def main(url: str, functions_url: str) -> None:
    host = FunctionHost(functions_url, "key")
    calling = Calling(Address(url), AddressGuard(is_open=True), host, dict)
    calling.start()
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
