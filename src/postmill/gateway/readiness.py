"""Whether requests should be sent here: not before everything has started, not while the database is away,
not when it stops. Requests that arrive anyway are served.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable


class Readiness:
    """``database_answers`` is asked each time; None where there is no database."""

    def __init__(self, database_answers: Callable[[], Awaitable[bool]] | None = None) -> None:
        self._database_answers = database_answers
        self._reason: str | None = "starting"
        self.checks: list[Callable[[], str | None]] = []
        """Called each time too: why a part that should run does not; None when it runs."""

    def started(self) -> None:
        """Everything that was to be started has been, or has failed to."""
        if self._reason == "starting":
            self._reason = None

    def stopping(self) -> None:
        """The process was asked to end."""
        self._reason = "stopping"

    async def why_not(self) -> str | None:
        """Why nothing should be sent here now; None when it should."""
        if self._reason is None and self._database_answers is not None and not await self._database_answers():
            return "the database does not answer"
        return self._reason or next(filter(None, (check() for check in self.checks)), None)
