"""Where an engine stands among several databases, and what it shares with the engines of the others."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from postmill.model.databases.naming import queue_in

if TYPE_CHECKING:
    from collections.abc import Mapping

    from postmill.client.home import Home
    from postmill.engine.run.slots import Slots


@dataclass(frozen=True, slots=True)
class Place:
    """The place of one engine."""

    home: Home | None = None
    """Its database; None: there is one only."""
    slots: Mapping[str, Slots] = field(default_factory=dict)
    """By queue: the slots that its workers share with those of the same handlers on the other databases."""

    def name_of(self, queue: str) -> str:
        """The queue as log lines and metrics name it: behind its database, where there are several."""
        return queue if self.home is None else queue_in(self.home.name, queue)


ALONE = Place()
"""Where there is one database."""
