"""The keys that requests are checked with, kept up to date while the gateway runs."""

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
"""Seconds between two reads of a published key set. Ten minutes: a key that was withdrawn is refused within
that time.
"""
UNKNOWN_KEY_S = 30.0
"""Seconds between two reads because a token names an unknown key. 30 s: any caller can name one, and must not
make the host send a request for each.
"""
WAIT_S = 1.0
"""How long such a request waits for the read, in seconds. 1 s: a key set is read in a tenth of that, and the
caller is waiting.
"""


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
        """The keys that are trusted now."""
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
        """The trusted keys after a token has named an unknown one. Any caller can do that, so the set is read
        at most once every ``UNKNOWN_KEY_S`` for all of them, and waited for ``WAIT_S`` at most.
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
        except Exception as error:  # the known keys stay valid, whatever is wrong with the new ones
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
