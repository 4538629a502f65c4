"""The keys that requests are measured by, kept up to date while the gateway runs."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from postmill.auth import jwks
from postmill.auth.credentials import Trusted
from postmill.model.errors import InvalidOption
from postmill.model.events import Event
from postmill.service.events import Events

if TYPE_CHECKING:
    from pathlib import Path

    from postmill.auth.keys import ProjectKeys

REFRESH_S = 600.0
"""How often a published key set is read again."""
UNKNOWN_KEY_S = 30.0
"""How often it may be read because a token names a key that it did not have."""
WAIT_S = 1.0
"""How long such a token waits for that, at most."""


class Trust:
    """The project's keys, and the public keys of ``source`` (empty: none) relative to the folder ``base``."""

    def __init__(self, keys: ProjectKeys, source: str, base: Path, *, refresh_s: float = REFRESH_S) -> None:
        self._refresh_s = refresh_s
        self._source = source
        self._base = base
        self._events = Events()
        self._trusted = Trusted(keys)
        self._refreshing: asyncio.Task[None] | None = None
        self._renewing: asyncio.Task[None] | None = None
        self._renew_from = 0.0
        """By the monotonic clock."""

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
        reading = [task for task in (self._refreshing, self._renewing) if task is not None]
        for task in reading:
            task.cancel()
        await asyncio.gather(*reading, return_exceptions=True)

    async def refresh(self) -> None:
        """Read it once."""
        public_keys = await asyncio.to_thread(jwks.fetch, self._source, self._base)
        self._trusted = Trusted(self._trusted.keys, public_keys)

    async def renewed(self) -> Trusted:
        """What is trusted after a token has named a key that we don't have. Anybody can name one: the set is
        read at most once every ``UNKNOWN_KEY_S`` for all of them, and waited for no longer than ``WAIT_S``.
        """
        now = time.monotonic()
        if self._source and now >= self._renew_from:
            self._renew_from = now + UNKNOWN_KEY_S
            self._renewing = asyncio.create_task(self._try_to_refresh())
        if self._renewing is not None:
            await asyncio.wait({self._renewing}, timeout=WAIT_S)
        return self._trusted

    async def _refresh_for_ever(self) -> None:
        while True:
            await asyncio.sleep(self._refresh_s)
            await self._try_to_refresh()

    async def _try_to_refresh(self) -> None:
        try:
            await self.refresh()
        except InvalidOption as error:  # those we have stay good
            self._events.emit(Event.KEYS_STALE, error=str(error))
