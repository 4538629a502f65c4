"""Where ``task.send(...)`` sends: on the caller's connection, or on one of Postmill's own."""

from __future__ import annotations

from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Any

from postmill.client import AsyncClient
from postmill.project import project

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from postmill.model.queue.worker_options import WorkerOptions


class _Process:
    """What holds for sends from within this process."""

    url: str | None = None
    """The database to which handlers of this process send. Set by the code that runs the workers."""


_process = _Process()


def use_database(url: str) -> None:
    """Make ``url`` the database to which workers of this process send when nothing else is said."""
    _process.url = url


@contextmanager
def sending_to(url: str | None) -> Iterator[None]:
    """:func:`use_database` for a while; with None, none."""
    before = _process.url
    _process.url = url
    try:
        yield
    finally:
        _process.url = before


@asynccontextmanager
async def sender(options: WorkerOptions, connection: Any) -> AsyncIterator[AsyncClient]:
    """A client on ``connection``, on the worker's ``db_url``, on the database of the workers that run in this
    process, or on that of the project around the working folder.
    """
    target = connection if connection is not None else options.db_url or _process.url
    if target is not None:
        async with AsyncClient(target) as client:
            yield client
        return
    settings = project.load_settings({})
    with project.database(settings) as where:
        async with AsyncClient(where.url) as client:
            yield client
