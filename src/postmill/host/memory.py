"""Keeps the last lines and the requests of each function in memory, for people who look at it now. Logs and
metrics are what lasts.
"""

from __future__ import annotations

import time
from collections import defaultdict, deque
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from postmill.model.functions.recent import Line, Minute

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from postmill.model.events import Event
    from postmill.service.events import Events

LINES = 200
"""Lines that are kept of each function: some screens, and at 2 KB a line less than half a megabyte."""
LONGEST = 2_000
"""Characters of a line that are kept. What is longer is data, and stands in the log in full."""
MINUTES = 60
"""Minutes whose requests are counted: the last hour, as on the overview of queues."""
SHOWN = 8
"""Characters of the id of a process, as in the log."""


class Memory:
    """What functions have done lately."""

    def __init__(self, events: Events) -> None:
        """``events``: those of the host, of which each about a function is kept."""
        events.listeners.append(self.hear)
        self._lines: dict[str, deque[Line]] = defaultdict(lambda: deque(maxlen=LINES))
        self._minutes: dict[str, deque[Minute]] = defaultdict(lambda: deque(maxlen=MINUTES))
        self.version = 0

    def hear(self, event: Event, fields: dict[str, Any]) -> None:
        """Keep an event that is about one function."""
        slug = fields.get("function")
        if slug is None or not event.value.startswith("function."):
            return
        text = str(fields["line"]) if "line" in fields else _told(fields)
        line = Line(time.time(), event.value, text[:LONGEST], str(fields.get("execution", ""))[:SHOWN])
        self._lines[slug].append(line)
        self.version += 1

    @contextmanager
    def request(self, slug: str) -> Iterator[None]:
        """Count a request, and whether it fails."""
        self._count(slug, 1, 0)
        try:
            yield
        except Exception:
            self._count(slug, 0, 1)
            raise

    def lines(self, slug: str) -> Sequence[Line]:
        """The last lines of a function, the latest at the end."""
        return tuple(self._lines.get(slug, ()))

    def minutes(self, slug: str) -> Sequence[Minute]:
        """Minutes of the last hour in which it had requests, the latest at the end."""
        since = int(time.time() // 60) - MINUTES
        return tuple(each for each in self._minutes.get(slug, ()) if each.minute > since)

    def _count(self, slug: str, requests: int, errors: int) -> None:
        kept, now = self._minutes[slug], int(time.time() // 60)
        last = kept.pop() if kept and kept[-1].minute == now else Minute(now, 0, 0)
        kept.append(Minute(now, last.requests + requests, last.errors + errors))
        self.version += 1


def _told(fields: dict[str, Any]) -> str:
    """The fields of an event in one line, without those that say whose it is."""
    own = {name: value for name, value in fields.items() if name not in ("function", "execution")}
    return " ".join(f"{name}={value}" for name, value in own.items())
