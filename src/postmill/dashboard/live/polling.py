"""What the hub asks for versions: a database, or several of which any may be away."""

from __future__ import annotations

import asyncio
import json
import time
from typing import TYPE_CHECKING

from postmill.api import several
from postmill.db.reads import versions
from postmill.model.errors import PostmillError
from postmill.service.service import new_task

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from postmill.dashboard.live.hub import Poll
    from postmill.db.tools.sessions import Sessions
    from postmill.model.functions.steering import WatchedFunctions

FUNCTIONS = "functions"
"""The one topic of a dashboard that is not the database's."""
DATABASES = "databases"
"""The topic of the list of several databases: its version is all of theirs."""
OF_ITS_LINE = (versions.QUEUES, "workers")
"""What the list shows of each database."""
PATIENCE_S = 0.1
"""How long a poll of several waits for one that is slow, in seconds. What it says is told with a later poll:
a host that says nothing must not hold up the others, and the rest after the poll is twenty of these.
"""


class PollOfOne:
    """A database's versions, with those of the functions of this process."""

    def __init__(self, sessions: Sessions, functions: WatchedFunctions | None = None) -> None:
        """``sessions``: with one connection of the poll's own, so that it waits for no page."""
        self._sessions = sessions
        self._functions = functions

    async def __call__(self, topics: Collection[str]) -> dict[str, str]:
        found = await self._sessions.read(versions.read, versions.watched(topics))
        return found if self._functions is None else {**found, FUNCTIONS: str(self._functions.recent.version)}

    async def close(self) -> None:
        """Close the connection."""
        await self._sessions.close()


class PollOfAll:
    """The version of the list of several databases. One that is away has a version too: its line is another
    one then.
    """

    def __init__(self, of: Mapping[str, Poll]) -> None:
        self._of = of
        self._asked: dict[str, tuple[asyncio.Task[str | None], float]] = {}
        self._known: dict[str, str | None] = {}

    async def __call__(self, _: Collection[str]) -> dict[str, str]:
        now_s = time.monotonic()
        for name, poll in self._of.items():
            if name not in self._asked:
                self._asked[name] = (new_task(_line(poll)), now_s)
        await asyncio.wait([task for task, _ in self._asked.values()], timeout=PATIENCE_S)
        for name, (task, since_s) in list(self._asked.items()):
            if task.done():
                del self._asked[name]
                self._known[name] = task.result()
            elif now_s - since_s > several.LIMIT_S:
                self._known[name] = None
        return {DATABASES: json.dumps(self._known)}


async def _line(poll: Poll) -> str | None:
    """What stands for a database's line; None: it is away."""
    try:
        return json.dumps(await poll(OF_ITS_LINE))
    except PostmillError:
        return None
