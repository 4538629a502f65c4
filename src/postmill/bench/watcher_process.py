"""People who watch a dashboard, in a process of their own, for ``bench dashboard``.

Reads its task from standard input as one line of JSON: the dashboard's address, headers, the path of the
stream, how many watch, and the path of a page. Prints a line when each was told the versions, and ends when
its input ends. With a page each of them asks for it again when something has changed, as a browser's tab
does: after a rest of three times what the last answer took, and of a fifth of a second at least.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from postmill.bench.http_load import open_client

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from postmill.bench.http_load import Client

PARTS = "postmill-parts"
"""The header by which a page asks for its main part alone."""
REST_S = 0.2
"""The least rest between two questions of one page, in seconds, as its script has it."""


async def open_stream(
    url: str, path: str, headers: Mapping[str, str]
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A stream of versions that has begun to answer."""
    place = urlsplit(url)
    reader, writer = await asyncio.open_connection(place.hostname, place.port)
    lines = [f"GET {path} HTTP/1.1", f"host: {place.netloc}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    writer.write(("\r\n".join(lines) + "\r\n\r\n").encode())
    status = await reader.readline()
    if b" 200 " not in status:
        raise RuntimeError(f"The stream was answered with {status.decode('latin-1').strip()}.")
    return reader, writer


async def news(reader: asyncio.StreamReader) -> dict[str, str] | None:
    """The next versions that a stream tells; None at its end."""
    while line := await reader.readline():
        if line.startswith(b"data: "):
            found: dict[str, str] = json.loads(line.removeprefix(b"data: "))
            return found
    return None


async def main() -> None:
    """Watch until standard input is closed."""
    task = json.loads(await asyncio.to_thread(sys.stdin.readline))
    began = [asyncio.Event() for _ in range(task["viewers"])]
    watchers = [asyncio.create_task(_watch(task, each)) for each in began]
    all_watch = asyncio.create_task(_all(began))
    await asyncio.wait([all_watch, *watchers], return_when=asyncio.FIRST_COMPLETED)
    for watcher in watchers:
        if watcher.done():
            watcher.result()
    print("watching", flush=True)
    await asyncio.to_thread(sys.stdin.read)
    for watcher in watchers:
        watcher.cancel()


async def _all(events: Sequence[asyncio.Event]) -> None:
    for event in events:
        await event.wait()


async def _watch(task: dict[str, Any], began: asyncio.Event) -> None:
    reader, writer = await open_stream(task["url"], task["path"], task["headers"])
    changed = asyncio.Event()
    try:
        async with asyncio.TaskGroup() as group:
            asking = group.create_task(_keep_asking(task, changed)) if task["asks"] else None
            while await news(reader) is not None:
                if began.is_set():
                    changed.set()
                began.set()
            if asking is not None:
                asking.cancel()
    finally:
        writer.close()


async def _keep_asking(task: dict[str, Any], changed: asyncio.Event) -> None:
    """Ask for the page's main part on one connection, as a browser does, and rest. What the stream tells
    meanwhile is one reason to ask again.
    """
    client: Client | None = None
    try:
        while True:
            await changed.wait()
            changed.clear()
            before = time.perf_counter()
            if client is None or client.is_closed:
                client = await open_client(task["url"] + task["asks"], {**task["headers"], PARTS: "main"})
            try:
                await client.call()
            except ConnectionResetError:  # the server has ended an idle connection at this moment
                changed.set()
            await asyncio.sleep(max(REST_S, 3 * (time.perf_counter() - before)))
    finally:
        if client is not None:
            client.close()


if __name__ == "__main__":
    asyncio.run(main())
