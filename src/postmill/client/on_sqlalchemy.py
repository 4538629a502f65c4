"""Runs a client's statements inside the caller's SQLAlchemy transaction. Imports no SQLAlchemy."""

from __future__ import annotations

import re
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

from postmill.client.failures import translated
from postmill.client.sending import is_atomic
from postmill.model.errors import InvalidOption

if TYPE_CHECKING:
    from collections.abc import Iterator

    from postmill.client.sending import Statement

_PLACEHOLDER = re.compile(r"\$(\d+)")


class CallersConnection:
    """A SQLAlchemy ``Connection``."""

    commits = False
    """The caller does, when its work is done."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection

    def run(self, statements: Iterator[Statement]) -> list[Any]:
        return _run(self._connection, statements)

    @property
    def in_transaction(self) -> bool:
        return bool(self._connection.in_transaction())

    def look(self, statement: Statement) -> list[Any]:
        return _look(self._connection, statement)

    def close(self) -> None:
        """Closes nothing: the connection is the caller's."""


class CallersSession(CallersConnection):
    """A SQLAlchemy ``Session``: its current connection is asked for at each call."""

    def run(self, statements: Iterator[Statement]) -> list[Any]:
        return _run(self._connection.connection(), statements)

    @property
    def in_transaction(self) -> bool:
        return bool(_session(self._connection).in_transaction())

    def look(self, statement: Statement) -> list[Any]:
        return _look_beside(_session(self._connection), statement)


class CallersAsyncConnection:
    """A SQLAlchemy ``AsyncConnection``: it runs the synchronous code here on its asynchronous driver."""

    commits = False
    reopens = False

    def __init__(self, connection: Any) -> None:
        self._connection = connection

    async def run(self, statements: Iterator[Statement]) -> list[Any]:
        results: list[Any] = await self._connection.run_sync(_run, statements)
        return results

    @property
    def in_transaction(self) -> bool:
        return bool(self._connection.in_transaction())

    async def look(self, statement: Statement) -> list[Any]:
        results: list[Any] = await self._connection.run_sync(_look, statement)
        return results

    async def listen(self, *_: object) -> None:
        """Not through SQLAlchemy, which passes on no notifications: results are polled for."""

    async def close(self) -> None:
        """Nothing here is ours."""


class CallersAsyncSession(CallersAsyncConnection):
    """A SQLAlchemy ``AsyncSession``: its current connection is asked for at each call."""

    async def run(self, statements: Iterator[Statement]) -> list[Any]:
        connection = await self._connection.connection()
        results: list[Any] = await connection.run_sync(_run, statements)
        return results

    @property
    def in_transaction(self) -> bool:
        return bool(_session(self._connection).in_transaction())

    async def look(self, statement: Statement) -> list[Any]:
        results: list[Any] = await _session(self._connection).run_sync(_look_beside, statement)
        return results


def _run(connection: Any, statements: Iterator[Statement]) -> list[Any]:
    atomic, statements = is_atomic(statements)
    results: list[Any] = []
    with nullcontext() if atomic else connection.begin_nested():
        for text, arguments, queue in statements:
            with translated(queue):
                result = connection.exec_driver_sql(
                    *_in_style(text, arguments, connection.dialect.paramstyle)
                )
                results += result.scalars().all()
    return results


def _look(connection: Any, statement: Statement) -> list[Any]:
    """Run a statement that only reads, and end the transaction that SQLAlchemy begins for it."""
    began = not connection.in_transaction()
    try:
        return _run(connection, iter([statement]))
    finally:
        if began:
            connection.rollback()


def _look_beside(session: Any, statement: Statement) -> list[Any]:
    """On another connection of the session's engine: a transaction of the session's own would end with its
    objects expired.
    """
    bind = session.get_bind()
    if hasattr(bind, "in_transaction"):  # the session is bound to one connection
        return _look(bind, statement)
    with bind.connect() as connection:
        return _look(connection, statement)


def _session(session: Any) -> Any:
    """The session itself, of a ``scoped_session`` too: those are called for it."""
    return session() if callable(session) else session


def _in_style(text: str, arguments: tuple[object, ...], style: str) -> tuple[str, Any]:
    """The statement with the placeholders that SQLAlchemy's driver expects."""
    if style == "numeric_dollar":
        return text, arguments
    if style == "pyformat":
        named = {f"p{number}": argument for number, argument in enumerate(arguments, start=1)}
        return _PLACEHOLDER.sub(r"%(p\1)s", text.replace("%", "%%")), named
    raise InvalidOption(
        f"This SQLAlchemy connection's driver writes parameters in the style {style!r}.",
        hint="Use postgresql+psycopg, postgresql+psycopg2 or postgresql+asyncpg.",
    )
