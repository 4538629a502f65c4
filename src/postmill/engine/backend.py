"""What a handler runs on beside this process, such as a cluster of machines. The engine begins it before it
claims, claims nothing while it is away, and ends it when nothing runs any more.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING

from postmill.service.service import Service

if TYPE_CHECKING:
    from collections.abc import Callable

    from postmill.service.events import Events


class Backend(Service):
    """A service that a handler needs; see :attr:`postmill.engine.handler.Handler.backend`."""

    def __init__(self, events: Events | None = None) -> None:
        super().__init__(events)
        self.on_change: list[Callable[[], object]] = []
        """Called when it has gone away or has come back: after :attr:`away` says so, and before calls that
        were lost with it end.
        """

    @property
    @abstractmethod
    def away(self) -> str | None:
        """Why nothing can run on it now, for the readiness probe; None when it can."""

    @abstractmethod
    async def answered(self) -> None:
        """Wait until it is known whether it can run the handler. Returns also when it is only away: it may
        come back. Raises a :class:`~postmill.model.errors.PostmillError` when it never will.
        """
