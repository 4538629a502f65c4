"""What a client needs of a connection, its own or the caller's, and which executor gives it for a target.

Classes are compared by name, so that no driver is imported that the caller does not use.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Protocol, cast

from postmill.client.waiting_line import WaitingExecutor
from postmill.model.errors import InvalidOption

if TYPE_CHECKING:
    from collections.abc import Iterator

    from postmill.client.sending import Statement

_ASYNC = {
    "builtins.str": "on_asyncpg:OwnPool",
    "asyncpg.connection.Connection": "on_asyncpg:CallersConnection",
    "asyncpg.pool.PoolConnectionProxy": "on_asyncpg:CallersConnection",
    "asyncpg.pool.Pool": "on_asyncpg:CallersPool",
    "psycopg.AsyncConnection": "on_psycopg:CallersAsyncConnection",
    "sqlalchemy.ext.asyncio.engine.AsyncConnection": "on_sqlalchemy:CallersAsyncConnection",
    "sqlalchemy.ext.asyncio.session.AsyncSession": "on_sqlalchemy:CallersAsyncSession",
    "sqlalchemy.ext.asyncio.scoping.async_scoped_session": "on_sqlalchemy:CallersAsyncSession",
}
_SYNC = {
    "builtins.str": "on_psycopg:OwnConnection",
    "psycopg.Connection": "on_psycopg:CallersConnection",
    "sqlalchemy.engine.base.Connection": "on_sqlalchemy:CallersConnection",
    "sqlalchemy.orm.session.Session": "on_sqlalchemy:CallersSession",
    "sqlalchemy.orm.scoping.scoped_session": "on_sqlalchemy:CallersSession",
}


class Executor(Protocol):
    """A connection of a synchronous driver."""

    def run(self, statements: Iterator[Statement]) -> list[Any]:
        """The first column of everything the statements return. All of them take effect, or none."""
        ...

    def look(self, statement: Statement) -> list[Any]:
        """The first column of what a statement returns that only reads. The connection is left as it was."""
        ...

    @property
    def commits(self) -> bool:
        """Whether each call commits by itself."""
        ...

    @property
    def in_transaction(self) -> bool:
        """Whether the caller's transaction is open."""
        ...

    def close(self) -> None:
        """Close what the executor itself opened. May be called twice."""
        ...


class AsyncExecutor(WaitingExecutor, Protocol):
    """A connection of an asynchronous driver; otherwise as :class:`Executor`."""

    async def run(self, statements: Iterator[Statement]) -> list[Any]: ...

    @property
    def commits(self) -> bool: ...

    async def close(self) -> None: ...


def async_executor(target: object) -> AsyncExecutor:
    """The executor for a target of :class:`AsyncClient`, or :class:`InvalidOption`."""
    return cast("AsyncExecutor", _executor(target, _ASYNC, _SYNC, "AsyncClient", "Client"))


def sync_executor(target: object) -> Executor:
    """The executor for a target of :class:`Client`, or :class:`InvalidOption`."""
    return cast("Executor", _executor(target, _SYNC, _ASYNC, "Client", "AsyncClient"))


def _executor(target: object, known: dict[str, str], others: dict[str, str], mine: str, other: str) -> object:
    found = _first(target, known)
    if found is not None:
        module, name = found.split(":")
        return getattr(import_module(f"postmill.client.{module}"), name)(target)
    fitting = _first(target, others) is not None
    kind = f"{type(target).__module__}.{type(target).__qualname__}"
    raise InvalidOption(
        f"{mine} can't send on a {kind}.",
        hint=f"Use postmill.{other} for it."
        if fitting
        else "Give a database address, or a connection or session.",
    )


def _first(target: object, known: dict[str, str]) -> str | None:
    names = (f"{kind.__module__}.{kind.__qualname__}" for kind in type(target).__mro__)
    return next((known[name] for name in names if name in known), None)
