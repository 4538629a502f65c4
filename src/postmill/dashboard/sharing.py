"""A page that many people look at is drawn once for all of them, and again when something has changed.

What is shared says nothing of a person: it is drawn for a role, and what stands around it, with the name of
the viewer, is put there for each. It is shown as long as the versions of what it shows are those that were
read before it was drawn. The database is asked for them, and not the hub: another process may have told a
page of a change that this one has not heard of.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

from postmill.dashboard.compressing import SentToMany
from postmill.dashboard.rounds import Rounds
from postmill.db.reads import versions

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection, Hashable, Mapping

    from postmill.api.desk import House
    from postmill.dashboard.rendering import Main

    Draw: TypeAlias = Callable[[], Awaitable[Main]]

KEPT_S = 1.0
"""How long a page is shown whose versions stay, in seconds. Ages and what falls due move no version; the rows
of queues, of which the first page is made, are kept as long.
"""
MOST_PAGES = 32
"""Pages that are kept. Each address is one, also with a filter that was typed; 100 queues are 100 KB."""
MOST_FRAMES = 64
"""Answers that are made of one drawing and kept, one for each viewer's name and theme: 64 people, or 6 MB."""


@dataclass(slots=True)
class Drawn:
    """The main part of a page, and when it holds."""

    main: Main
    versions: Mapping[str, str]
    """Of its topics, read before it was drawn: it is at least as new as these."""
    began_s: float
    actions: int
    """How many actions there had been: a person sees what an own one has done."""
    _framed: dict[Hashable, SentToMany] = field(default_factory=dict)

    def holds(self, told: Mapping[str, str], now_s: float, actions: int) -> bool:
        """Whether what it shows is as it was; ``told``: the versions as they are."""
        return self.versions == told and self.actions == actions and now_s - self.began_s <= KEPT_S

    def framed(self, frame: Hashable, make: Callable[[], bytes]) -> SentToMany:
        """With what stands around it, which is the same for the same ``frame``."""
        found = self._framed.get(frame)
        if found is None:
            found = SentToMany(make())
            if len(self._framed) < MOST_FRAMES:
                self._framed[frame] = found
        return found


@dataclass(slots=True)
class _Page:
    rounds: Rounds[Drawn] = field(default_factory=Rounds)
    drawn: Drawn | None = None


class Sharing:
    """``drawn`` may be called by any number of requests."""

    def __init__(self, house: House) -> None:
        self._house = house
        self._pages: OrderedDict[Hashable, _Page] = OrderedDict()

    def __len__(self) -> int:
        """How many pages are kept."""
        return len(self._pages)

    async def drawn(self, key: Hashable, topics: Collection[str], draw: Draw) -> Drawn:
        """The page as it is now. All that ``draw`` depends on, but for the database, must be in ``key``, and
        what it shows of the database must be in ``topics``. Raises what ``draw`` raises.
        """
        page = self._pages.setdefault(key, _Page())
        self._pages.move_to_end(key)
        if len(self._pages) > MOST_PAGES:
            self._pages.popitem(last=False)
        return await page.rounds.join(lambda: self._looked(page, topics, draw))

    async def _looked(self, page: _Page, topics: Collection[str], draw: Draw) -> Drawn:
        began_s, actions = time.monotonic(), self._house.looks.actions
        found = await self._house.sessions.read(versions.read, versions.watched(topics))
        told = {topic: found[topic] for topic in topics if topic in found}
        if page.drawn is None or not page.drawn.holds(told, began_s, actions):
            page.drawn = Drawn(await draw(), told, began_s, actions)
        return page.drawn
