"""The secrets of the project that a role may have filled into a call, at the moment in which that is sent."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from postmill.sql.catalog import statement

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from postmill.db.hot.shared_connection import SharedConnection


class GrantedSecrets:
    """The database keeps the grants and knows no value; the values are read where calls are made."""

    def __init__(self, shared: SharedConnection, read: Callable[[], Mapping[str, str]]) -> None:
        """``read``: reads all values of the project."""
        self._shared = shared
        self._read = read

    async def granted(self, names: Collection[str], role: str) -> Collection[str]:
        """Those of ``names`` that ``role`` may use now. Raises what asyncpg raises."""
        if not names:
            return ()
        row = await self._shared.fetchrow(statement("secrets_granted"), list(names), role)
        return frozenset(row["granted"])

    async def values(self, names: Collection[str]) -> Mapping[str, str]:
        """The values of those of ``names`` that are kept here."""
        if not names:
            return {}
        kept = await asyncio.to_thread(self._read)
        return {name: kept[name] for name in names if name in kept}
