"""Ends a worker's session round one of its statements: before it was sent, or when it has been done and its
answer is on its way.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, Literal

import asyncpg

from postmill.db.hot.shared_connection import SharedConnection

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    import pytest

When = Literal["before", "after"]


class Cutter:
    """Ends the session round the statement whose turn it is, of those that ``counts`` tells apart."""

    def __init__(self, patch: pytest.MonkeyPatch, counts: Callable[[str], str | None]) -> None:
        """``counts``: what a statement is called; None: it is not counted."""
        self.seen: Counter[str] = Counter()
        """How often each was asked for."""
        self.cut: Counter[tuple[str, str]] = Counter()
        """How often the session was ended round each."""
        self.is_its_turn: Callable[[str], bool] = lambda _: False
        self.when: When = "before"
        self.on_cut: Callable[[], Awaitable[object]] | None = None
        """What else happens then."""
        self._counts = counts
        for name in ("fetch", "fetchrow"):
            patch.setattr(SharedConnection, name, self._cutting(getattr(SharedConnection, name)))

    def _cutting(self, original: Any) -> Any:
        async def call(shared: SharedConnection, text: str, *args: Any) -> Any:
            named = self._counts(text)
            if named is not None:
                self.seen[named] += 1
            if named is None or not self.is_its_turn(named):
                return await original(shared, text, *args)
            self.cut[named, self.when] += 1
            if self.when == "after":
                await original(shared, text, *args)
            await shared.close()
            if self.on_cut is not None:
                await self.on_cut()
            raise asyncpg.ConnectionDoesNotExistError(f"cut {self.when} {named}")

        return call
