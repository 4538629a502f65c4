"""What a wait for results needs of a connection and of an executor."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

    from postmill.client.sending import Statement


class Line(Protocol):
    """A connection on which notifications arrive."""

    lingers: bool
    """Whether it may be kept for the next wait: it is the client's own."""

    async def run(self, statement: Statement) -> list[Any]:
        """The first column of what the statement returns."""
        ...

    async def close(self) -> None:
        """Listen no more, and give the connection back or close it. Never raises."""
        ...


class WaitingExecutor(Protocol):
    """What a wait needs of an executor."""

    reopens: bool
    """Whether a connection that broke is replaced by another one."""

    @property
    def in_transaction(self) -> bool:
        """Whether the caller's transaction is open."""
        ...

    async def look(self, statement: Statement) -> list[Any]:
        """The first column of what a statement returns that only reads. The connection is left as it was."""
        ...

    async def listen(
        self, channel: str, on_payload: Callable[[str], None], on_cut: Callable[[], None]
    ) -> Line | None:
        """A connection that listens to ``channel``; None where no notification would arrive."""
        ...
