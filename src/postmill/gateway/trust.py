"""The keys that requests are measured by, kept up to date while the gateway runs."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from postmill.auth import jwks
from postmill.auth.credentials import Trusted
from postmill.model.errors import InvalidOption
from postmill.model.events import Event

if TYPE_CHECKING:
    from pathlib import Path

    from postmill.auth.keys import ProjectKeys

REFRESH_S = 600.0
"""How often a published key set is read again."""
_LOGGER = logging.getLogger("postmill")


class Trust:
    """The project's keys, and the public keys of ``source`` (empty: none) relative to the folder ``base``."""

    def __init__(self, keys: ProjectKeys, source: str, base: Path, *, refresh_s: float = REFRESH_S) -> None:
        self._refresh_s = refresh_s
        self._source = source
        self._base = base
        self._trusted = Trusted(keys)
        self._refreshing: asyncio.Task[None] | None = None

    def __call__(self) -> Trusted:
        """What is trusted now."""
        return self._trusted

    async def start(self) -> None:
        """Read the key set, and again every ``refresh_s``. Raises :class:`InvalidOption` when it can't be."""
        if self._source and self._refreshing is None:
            await self.refresh()
            self._refreshing = asyncio.create_task(self._refresh_for_ever())

    async def stop(self) -> None:
        """Read it no more."""
        if self._refreshing is not None:
            self._refreshing.cancel()
            await asyncio.gather(self._refreshing, return_exceptions=True)

    async def refresh(self) -> None:
        """Read it once."""
        public_keys = await asyncio.to_thread(jwks.fetch, self._source, self._base)
        self._trusted = Trusted(self._trusted.keys, public_keys)

    async def _refresh_for_ever(self) -> None:
        while True:
            await asyncio.sleep(self._refresh_s)
            try:
                await self.refresh()
            except InvalidOption as error:  # those we have stay good
                _LOGGER.warning(Event.KEYS_STALE, extra={"fields": {"error": str(error)}})
