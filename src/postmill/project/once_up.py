"""The start of what runs on and on, while its database is away: it waits, and says so, as a worker does whose
database goes away later.
"""

from __future__ import annotations

import random
import threading
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from postmill.model.errors import DatabaseUnavailable, LoginFailed
from postmill.project.project import prepare
from postmill.service.backoff import Backoff
from postmill.service.events import Events
from postmill.service.outage import Outage
from postmill.service.stop_requests import interrupted

if TYPE_CHECKING:
    from collections.abc import Iterator

    from postmill.model.config.address import Address
    from postmill.model.config.settings import Settings


def prepare_once_up(settings: Settings, where: Address) -> bool:
    """:func:`~postmill.project.project.prepare`, once the database answers. Returns whether it does: False
    when a signal has asked for the end before. Raises the rest, ``LoginFailed`` too: time seldom mends that.

    In a thread that signals don't reach it does not wait: nothing could end that.
    """
    if threading.current_thread() is not threading.main_thread():
        prepare(settings, where)
        return True
    request = _Request()
    with suppress(_Asked), interrupted(request.make, lambda: request.made):
        _prepare_unless(request, settings, where)
    return not request.made


def _prepare_unless(request: _Request, settings: Settings, where: Address) -> None:
    outage = Outage(Events(function="postmill", queue="*"), _is_away)
    pauses = Backoff(random.random)
    while True:
        try:
            with request.may_cut():
                prepare(settings, where)
        except DatabaseUnavailable as error:
            if settings.is_embedded or not _is_away(error):
                raise
            outage.began(error)
        else:
            outage.over()
            return
        with request.may_cut():
            time.sleep(pauses.next_delay_s())


class _Asked(BaseException):
    """A signal has asked for the end."""


class _Request:
    """A signal's, for the end. It cuts a connection attempt and a pause short; never the log, which would
    take that for a fault of its own.
    """

    def __init__(self) -> None:
        self.made = False
        self._cuts = False

    def make(self) -> None:
        """Called by the signal, between any two lines."""
        self.made = True
        if self._cuts:
            raise _Asked

    @contextmanager
    def may_cut(self) -> Iterator[None]:
        """It may meanwhile."""
        self._cuts = True
        try:
            if self.made:
                raise _Asked
            yield
        finally:
            self._cuts = False


def _is_away(error: BaseException) -> bool:
    return isinstance(error, DatabaseUnavailable) and not isinstance(error, LoginFailed)
