"""Two sessions that meet: one of them stands at a lock of the other, in each run of a test."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING

from tests.sql.asking import Database, value

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Act = Callable[[Database], object]

WAITS = "select exists (select from pg_stat_activity where pid = $1 and wait_event_type = 'Lock')"
WAITS_MOST_S = 60.0
"""Ends a test whose session never comes to the lock; nothing is measured by it."""


@contextmanager
def second_behind(db: Database, connect: Callable[[], Database], act: Act) -> Iterator[None]:
    """The block is one transaction; ``act`` runs on another session meanwhile, and is waited for: first until
    it stands at a lock, and after the commit until it is done.
    """
    other = connect()
    with ThreadPoolExecutor(1) as pool:
        with db.transaction():
            yield
            acting = pool.submit(act, other)
            wait_for_lock(db, other)
        acting.result()


def wait_for_lock(db: Database, other: Database) -> None:
    """Until the session stands at a lock."""
    until = time.monotonic() + WAITS_MOST_S
    while not value(db, WAITS, other.info.backend_pid):
        assert time.monotonic() < until
