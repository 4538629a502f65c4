"""Several named databases for one test, and workers on all of them."""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import ExitStack, asynccontextmanager, contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

from postmill.databases.engines import Engines
from postmill.databases.starting import looked_up
from postmill.model.databases.databases import Databases
from postmill.model.databases.rendezvous import home
from postmill.model.events import Event
from tests import servers

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence

    import psycopg

    from postmill.embedded import Server
    from postmill.engine.handler import Handler
    from postmill.engine.worker import QueueWorker
    from postmill.model.databases.databases import Route

GIVE_UP_S = 60.0
"""Ends a test that would hang, also on a machine that does much else; no test measures anything by it."""


@contextmanager
def named_databases(
    administrator: psycopg.Connection[Any], server: Server, *names: str, queues: Sequence[str] = ()
) -> Iterator[dict[str, str]]:
    """Migrated databases of these names, with these queues in each; their addresses by name."""
    with ExitStack() as stack:
        made = {name: stack.enter_context(servers.cloned_by(administrator, server.url)) for name in names}
        for name, url in made.items():
            prepare(url, name, queues)
        yield made


def prepare(url: str, name: str, queues: Sequence[str]) -> None:
    """Name a database and make queues in it."""
    with servers.session(url) as db:
        db.execute("select postmill.name_database($1)", [name])
        for queue in queues:
            db.execute("select postmill.create_queue($1)", [queue])


def key_of(name: str, among: Sequence[str], but: int = 0) -> str:
    """A key that lives in the database ``name``; ``but``: another one than the first so many."""
    keys = (f"tenant-{number}" for number in range(10_000))
    found = [key for key in (next(keys) for _ in range(1_000)) if home(key, among) == name]
    return found[but]


def count(url: str, table: str) -> int:
    """Rows of a table."""
    with servers.session(url) as db:
        return int(db.execute(f"select count(*) as rows from {table}").fetchall()[0]["rows"])


class Working:
    """Engines at work, and what their workers have completed."""

    def __init__(self, engines: Engines) -> None:
        self.engines = engines
        self.completed: Counter[str] = Counter()
        """By the name of the database."""
        self.said: list[tuple[Event, str]] = []
        self._news = asyncio.Event()
        for name, engine in engines.engines.items():
            engine.events.listeners.append(self._hears(name))
            engine.on_worker.append(partial(self._listen, name))

    def _listen(self, name: str, worker: QueueWorker) -> None:
        worker.events.listeners.append(self._hears(name))

    def _hears(self, name: str) -> Callable[[Event, dict[str, Any]], None]:
        loop = asyncio.get_running_loop()

        def hear(event: Event, _: dict[str, Any]) -> None:
            self.completed[name] += event is Event.MESSAGE_COMPLETED
            self.said.append((event, name))
            loop.call_soon_threadsafe(self._news.set)

        return hear

    async def until_empty(self, *urls: str, queue: str = "mail") -> None:
        """Wait until nothing of a queue is left: an answer that was lost is no event."""
        async with asyncio.timeout(GIVE_UP_S):
            for url in urls:
                while await asyncio.to_thread(count, url, f"pgmq.q_{queue}"):  # noqa: ASYNC110
                    await asyncio.sleep(0.05)

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait for something that comes true when a worker says something."""
        async with asyncio.timeout(GIVE_UP_S):
            while not condition():
                self._news.clear()
                await self._news.wait()


@asynccontextmanager
async def working(
    urls: Mapping[str, str],
    routes: Mapping[str, Route],
    *handlers: Handler,
    only: str | None = None,
    **named: str,
) -> AsyncIterator[Working]:
    """Run ``handlers`` on these databases for a while; handed out when the first one is at work."""
    databases = Databases.of(urls, routes, **named)
    placement = await asyncio.to_thread(looked_up, databases, handlers, only)
    engines = Engines(databases, placement.of(handlers), {})
    found = Working(engines)
    starting = asyncio.create_task(engines.start())
    try:
        async with asyncio.timeout(GIVE_UP_S):
            await asyncio.wait(
                {starting, asyncio.create_task(engines.started.wait())}, return_when=asyncio.FIRST_COMPLETED
            )
        if starting.done():
            starting.result()
        yield found
    finally:
        engines.force()
        await engines.stop()
        starting.cancel()
        await asyncio.gather(starting, return_exceptions=True)
