"""Where ``task.send(...)`` sends: on the caller's connection, or on one of our own."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from postmill.client import AsyncClient
from postmill.model.errors import InvalidOption

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from postmill.model.worker_options import WorkerOptions

_default_url: list[str] = []
"""The database of the process: set by whoever runs workers here, for sends from within them."""


def use_database(url: str) -> None:
    """Make ``url`` the database to which workers of this process send when nothing else is said."""
    _default_url[:] = [url]


@asynccontextmanager
async def sender(options: WorkerOptions, connection: Any) -> AsyncIterator[AsyncClient]:
    """A client on ``connection``, on the worker's ``db_url``, or on the process's database."""
    target = connection if connection is not None else options.db_url or next(iter(_default_url), None)
    if target is None:
        raise InvalidOption(
            "There is no database to send to.",
            why="The worker has no db_url, and no worker runs in this process.",
            hint="Use postmill.app.open_client(), give connection=..., or set db_url.",
        )
    async with AsyncClient(target) as client:
        yield client
