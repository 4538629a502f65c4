"""A handler as the engine of one of several databases sees it: the code and its slots are shared, the rest is
said to each database by itself.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from postmill.client.sending import Statement
from postmill.engine.wrapped_handler import WrappedHandler
from postmill.sql.catalog import statement

if TYPE_CHECKING:
    from collections.abc import Sequence

    from postmill.engine.handler import Handler
    from postmill.model.queue.worker_options import WorkerOptions


class Shared:
    """One handler in this process, and how many engines still use it."""

    def __init__(self, handler: Handler) -> None:
        self.handler = handler
        self.users = 0

    def leave(self) -> None:
        """One engine has ended: the last one ends the handler's threads and processes."""
        self.users -= 1
        if self.users == 0:
            self.handler.close()


class HandlerShare(WrappedHandler):
    """The part of a handler in the database ``name``. Its schedule lives in one database only."""

    def __init__(self, shared: Shared, name: str, *, has_schedule: bool) -> None:
        super().__init__(shared.handler)
        self._shared = shared
        self._name = name
        shared.users += 1
        options = self._handler.options
        self._options = options if has_schedule else replace(options, schedule=None)

    @property
    def options(self) -> WorkerOptions:
        """See :class:`Handler`."""
        return self._options

    @property
    def declarations(self) -> Sequence[Statement]:
        """See :class:`Handler`. The first one makes sure that this is the database of that name."""
        named = Statement(statement("name_database"), (self._name,), self._options.queue)
        return [named, *self._handler.declarations]

    def close(self) -> None:
        """See :class:`Handler`."""
        self._shared.leave()
