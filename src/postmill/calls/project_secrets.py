"""The values of the project's secrets, read at the moment in which a call is sent. The database keeps the
grants and knows no value.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping


class ProjectSecrets:
    """What is kept where calls are made."""

    def __init__(self, read: Callable[[], Mapping[str, str]]) -> None:
        """``read``: reads all values of the project."""
        self._read = read

    async def values(self, names: Collection[str]) -> Mapping[str, str]:
        """The values of those of ``names`` that are kept here."""
        if not names:
            return {}
        kept = await asyncio.to_thread(self._read)
        return {name: kept[name] for name in names if name in kept}
