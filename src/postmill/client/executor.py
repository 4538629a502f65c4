"""What a client needs of a connection, whoever owns it: run statements, all of them or none."""

from __future__ import annotations

from itertools import chain, islice
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator

    from postmill.client.sending import Statement


class Executor(Protocol):
    """A connection of a synchronous driver."""

    def run(self, statements: Iterator[Statement]) -> list[int]:
        """The first column of everything the statements return. All of them take effect, or none."""
        ...

    def close(self) -> None:
        """Close what the executor itself opened. May be called twice."""
        ...


class AsyncExecutor(Protocol):
    """A connection of an asynchronous driver; otherwise as :class:`Executor`."""

    async def run(self, statements: Iterator[Statement]) -> list[int]: ...

    async def close(self) -> None: ...


def is_atomic(statements: Iterator[Statement]) -> tuple[bool, Iterator[Statement]]:
    """Whether there is at most one statement (atomic without a transaction), and the same statements."""
    head = list(islice(statements, 2))
    return len(head) < 2, chain(head, statements)
