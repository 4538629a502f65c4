"""Which handlers of a process work on which databases. Pure: what is there was looked up before."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from postmill.model.errors import InvalidOption

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from postmill.engine.handler import Handler
    from postmill.model.databases.databases import Databases


@dataclass(frozen=True, slots=True)
class Placement:
    """Where handlers work: on the databases of their queue's route, and where a former route has left
    messages of it.
    """

    databases: Databases
    only: str | None = None
    """The one database on which this process works; None: all."""
    present: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """The queues that were found in each database."""

    def of(self, handlers: Sequence[Handler]) -> Mapping[str, Sequence[Handler]]:
        """The handlers of each database that has any. Raises :class:`InvalidOption` for a handler that can't
        work where it should, and where there is none for :attr:`only`.
        """
        found: dict[str, list[Handler]] = {}
        for handler in handlers:
            for name in self._places(handler):
                if self.only in {None, name}:
                    found.setdefault(name, []).append(handler)
        if not found:
            queues = ", ".join(handler.options.queue for handler in handlers)
            raise InvalidOption(
                f"No worker here has work in database {self.only}.",
                why=f"Their queues ({queues}) live elsewhere.",
                hint="Leave --database out, or change [routes].",
            )
        if len(found) > 1:
            _check_shared(handlers)
        return found

    def _places(self, handler: Handler) -> tuple[str, ...]:
        queue, known = handler.options.queue, self.databases
        if handler.runs_flows:
            self._check_flow(queue)
            return (known.of_flows,)
        present = [name for name in known.names if queue in self.present.get(name, ())]
        places = known.holders(queue, present)
        if handler.options.schedule is not None and known.of_schedules not in places:
            raise InvalidOption(
                f"The worker {handler.name!r} has a schedule, and its queue {queue} does not live where "
                f"schedules do, in {known.of_schedules}.",
                why="A schedule sends to a queue of its own database.",
                hint=f"Let the route of {queue} lead there too, or name another one in [schedules] database.",
            )
        return places

    def _check_flow(self, queue: str) -> None:
        over = self.databases.over(queue)
        if queue in self.databases.routes and over != (self.databases.of_flows,):
            raise InvalidOption(
                f"Queue {queue} has the tasks of a flow, and its route leads to {', '.join(over)}.",
                why=f"Flows live in one database with all of their queues: {self.databases.of_flows}.",
                hint="Take the route out, or name another one in [flows] database.",
            )


def _check_shared(handlers: Sequence[Handler]) -> None:
    """What a handler runs on beside this process belongs to one worker, and each database has its own."""
    of_one = [handler.name for handler in handlers if handler.backend is not None]
    if of_one:
        raise InvalidOption(
            f"{', '.join(of_one)} runs on a cluster, and works on one database a process.",
            why="Its connection to the cluster is its worker's, and each database has a worker of its own.",
            hint="Start a process for each database, with --database NAME.",
        )
