"""Where ``task.send(...)`` sends: on the caller's connection, or on one of Postmill's own."""

from __future__ import annotations

from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Any

from postmill.client import AsyncClient
from postmill.client.home import check_no_key
from postmill.client.routed import AsyncRoutedClient
from postmill.project import project

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from postmill.client.placing import ShardKey
    from postmill.model.config.settings import Settings
    from postmill.model.databases.databases import Databases
    from postmill.model.queue.addressee import Addressee
    from postmill.model.queue.sent import Sent
    from postmill.model.queue.worker_options import WorkerOptions


class _Process:
    """What holds for sends from within this process."""

    url: str | None = None
    """The database to which handlers of this process send, and where its flows live. Set by the code that
    runs the workers.
    """
    databases: Databases | None = None
    """Those among which a message's key decides."""


_process = _Process()


def use_database(url: str) -> None:
    """Make ``url`` the database to which workers of this process send when nothing else is said."""
    _process.url = url


@contextmanager
def sending_to(url: str | None, databases: Databases | None = None) -> Iterator[None]:
    """:func:`use_database` for a while; with None, none. ``databases``: those to which messages go by key."""
    before = _process.url, _process.databases
    _process.url, _process.databases = url, databases
    try:
        yield
    finally:
        _process.url, _process.databases = before


async def send(
    options: WorkerOptions, connection: Any, to: Addressee, payload: object, key: ShardKey, **asked: Any
) -> Sent:
    """Send ``payload`` to a task: as :func:`sender` says, and by its key among several databases."""
    databases, settings = None if options.db_url else _process.databases, None
    is_asked = connection is None or key is not None
    if databases is None and is_asked and not options.db_url and _process.url is None:
        settings = project.load_settings({})
        databases = settings.databases
    if databases is not None:
        async with AsyncRoutedClient(databases, connection) as routed:
            return await routed.send(to, payload, shard_key=key, **asked)
    check_no_key(key)
    async with sender(options, connection, settings) as client:
        return await client.send(to, payload, **asked)


@asynccontextmanager
async def sender(
    options: WorkerOptions, connection: Any, settings: Settings | None = None
) -> AsyncIterator[AsyncClient]:
    """A client on ``connection``, on the worker's ``db_url``, on the database of the workers that run in this
    process, or on that of the project around the working folder. ``settings``: those of that project, where
    they were read already.
    """
    target = connection if connection is not None else options.db_url or _process.url
    if target is not None:
        async with AsyncClient(target) as client:
            yield client
        return
    settings = settings or project.load_settings({})
    several = settings.databases
    if several is not None:
        async with AsyncClient(several.at_flows.url) as client:
            yield client
        return
    with project.database(settings) as where:
        async with AsyncClient(where.url) as client:
            yield client
