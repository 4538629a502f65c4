"""The keys that requests are measured by, kept up to date while the gateway runs."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from postmill.auth import jwks
from postmill.auth.credentials import Trusted
from postmill.model.error_text import summary_of
from postmill.model.errors import InvalidOption
from postmill.model.events import Event
from postmill.service.events import Events
from postmill.service.timed import TimedService

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from postmill.auth.keys import ProjectKeys
    from postmill.service.service import Service

REFRESH_S = 600.0
"""How often a published key set is read again: a key that was withdrawn is taken for ten minutes at most, and
its publisher is asked 144 times a day."""
UNKNOWN_KEY_S = 30.0
"""How often it may be read because a token names a key that it did not have. A stranger can name such keys at
will, and must not have us ask the publisher more often than twice a minute."""
WAIT_S = 1.0
"""How long such a token waits for that, at most: a publisher that is near answers in a tenth of it."""


class Trust:
    """The project's keys, and the public keys of ``source`` (empty: none) relative to the folder ``base``."""

    def __init__(self, keys: ProjectKeys, source: str, base: Path, *, refresh_s: float = REFRESH_S) -> None:
        self._source = source
        self._base = base
        self._events = Events()
        self._trusted = Trusted(keys)
        self._refresher = KeyRefresher(self._try_to_refresh, refresh_s, self._events)
        self._renewing: asyncio.Task[None] | None = None
        self._renew_from = 0.0
        """By the monotonic clock."""

    @property
    def trouble(self) -> str | None:
        """Why the key set is not kept up to date, for the readiness probe; None when it is."""
        return self._refresher.trouble

    @property
    def on_giving_up(self) -> list[Callable[[Service], object]]:
        """Called when it can't be kept up to date any more; see :class:`Service`."""
        return self._refresher.on_giving_up

    def __call__(self) -> Trusted:
        """What is trusted now."""
        return self._trusted

    async def start(self) -> None:
        """Read the key set, and again every ``refresh_s``. Raises :class:`InvalidOption` when it can't be."""
        if self._source:
            await self.refresh()
            self._refresher.start()

    async def stop(self) -> None:
        """Read it no more."""
        await self._refresher.stop()
        if self._renewing is not None:
            self._renewing.cancel()
            await asyncio.gather(self._renewing, return_exceptions=True)

    async def refresh(self) -> None:
        """Read it once."""
        public_keys = await asyncio.to_thread(jwks.fetch, self._source, self._base)
        self._trusted = Trusted(self._trusted.keys, public_keys)

    async def renewed(self) -> Trusted:
        """What is trusted after a token has named a key that we don't have. Any caller can do that: the set
        is read at most once every ``UNKNOWN_KEY_S`` for all of them, and waited for ``WAIT_S`` at most.
        """
        now = time.monotonic()
        if self._source and now >= self._renew_from:
            self._renew_from = now + UNKNOWN_KEY_S
            self._renewing = asyncio.create_task(self._try_to_refresh())
        if self._renewing is not None:
            await asyncio.wait({self._renewing}, timeout=WAIT_S)
        return self._trusted

    async def _try_to_refresh(self) -> None:
        try:
            await self.refresh()
        except Exception as error:  # those we have stay good, whatever is wrong with the others
            if isinstance(error, InvalidOption):
                self._events.emit(Event.KEYS_STALE, error=str(error))
            else:
                self._events.emit(Event.KEYS_STALE, exception=error, error=summary_of(error))


class KeyRefresher(TimedService):
    """Reads the key set again and again. The first reading is its owner's."""

    def __init__(self, refresh: Callable[[], Awaitable[None]], every_s: float, events: Events) -> None:
        super().__init__(events)
        self._refresh = refresh
        self._every_s = every_s
        self._due_at = time.monotonic() + every_s

    async def run_once(self) -> bool:
        """Read it."""
        self._due_at = time.monotonic() + self._every_s
        await self._refresh()
        return False
