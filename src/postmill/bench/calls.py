"""``bench calls``: HTTP requests that are asked for in SQL, from their rows to the rows of their answers."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from time import perf_counter
from typing import TYPE_CHECKING

from postmill.bench.arena import connect
from postmill.bench.environment import environment
from postmill.bench.report import Report
from postmill.calls.call_claims import MOST_A_HOST
from postmill.calls.calling import Calling
from postmill.calls.client import CallClient
from postmill.model.calls.address_guard import AddressGuard
from postmill.model.calls.call import Call
from postmill.sql.catalog import statement

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from postmill.bench.arena import Connection
    from postmill.model.config.address import Address

AT_ONCE = MOST_A_HOST
"""Requests at once without a database: as many as calls run to one host."""
BODY = '{"a": 1}'
GIVE_UP_S = 300.0
"""Seconds after which the run is broken and ends with an error. Fifty times what it takes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CallsOptions:
    """``calls`` are asked for before the first is made."""

    calls: int = 20_000


async def calls(address: Address, options: CallsOptions, say: Callable[[str], None]) -> Report:
    """The client alone, then the calls; another process answers both."""
    connection = await connect(address)
    with _target() as url:
        try:
            around = await environment(connection)
            say(f"{options.calls} requests without a database")
            raw_s = await _sent(url, options.calls)
            say(f"{options.calls} calls")
            await connection.execute(statement("bench_calls_ask"), url, BODY, options.calls)
            took_s = await _made(address, connection, url, options.calls)
        finally:
            await connection.execute(statement("bench_calls_clear"), url)
            await connection.close()
    return Report(
        bench="calls",
        unit="requests/s",
        value=options.calls / took_s,
        reference_name="the client alone",
        reference=options.calls / raw_s,
        figures={"requests_per_s": options.calls / took_s},
        settings=asdict(options),
        environment=around,
    )


async def _made(address: Address, connection: Connection, url: str, many: int) -> float:
    """Seconds until every answer is a row."""
    calling = Calling(address, AddressGuard(is_open=True), None, dict)
    began = perf_counter()
    calling.start()
    try:
        async with asyncio.timeout(GIVE_UP_S):
            while calling.caller.answered.total() < many:  # noqa: ASYNC110 - nothing tells
                await asyncio.sleep(0.01)
            while await connection.fetchval(statement("bench_calls_left"), url):  # noqa: ASYNC110
                await asyncio.sleep(0.005)
        return perf_counter() - began
    finally:
        await calling.stop()


async def _sent(url: str, many: int) -> float:
    client = CallClient(AddressGuard(is_open=True))
    call = Call("POST", url, {"Content-Type": "application/json"}, BODY.encode())

    async def send(requests: int) -> None:
        for _ in range(requests):
            await client.call(call)

    began = perf_counter()
    await asyncio.gather(*(send(many // AT_ONCE) for _ in range(AT_ONCE)))
    await client.close()
    return (perf_counter() - began) * many / (many // AT_ONCE * AT_ONCE)


@contextmanager
def _target() -> Iterator[str]:
    command = [sys.executable, "-m", "postmill.bench.http_target"]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None  # noqa: S101 - it has a pipe
        yield f"http://127.0.0.1:{int(process.stdout.readline())}/"
    finally:
        process.communicate()
