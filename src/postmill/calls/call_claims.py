"""Takes calls that are due, for one process: as many as it has places for, at all and for each host. What
this costs the database does not depend on how many wait.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from postmill.sql.catalog import statement

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from postmill.db.hot.shared_connection import SharedConnection

MOST = 1000
"""Calls that run at once in one process. A thousand waiting connections are a tenth of what one event loop
can hold, and their answers fit into memory.
"""
MOST_A_HOST = 200
"""Calls that run at once to one host, from one process. When half of them have ended, the next hundred are
taken by one statement. With 100 at once, and claims of 25, the claims were what took longest.
"""
BATCH = 200
"""Calls that are taken by one statement, about 5 ms of work for the database."""
HOSTS = 500
"""Hosts that one statement walks over, about 5 ms of work for the database."""
LOST_MS = 15_000
"""A call without an answer is given up this many milliseconds after its time limit. An outage of 15 s must
not make an answer that has arrived an unknown outcome.
"""


class CallClaims:
    """The calls that one process has taken and not ended."""

    def __init__(self, shared: SharedConnection, *, functions: bool) -> None:
        """``functions``: whether calls of functions are taken too."""
        self.functions = functions
        self._shared = shared
        self._running: Counter[str] = Counter()
        """How many run to each host."""
        self._full: set[str] = set()
        """Hosts that have had no place, until half of their places are free: a claim for each call that ends
        would take longer than the calls.
        """
        self._last = ""
        """The host behind which the next walk begins; empty: a new round begins."""
        self._found = False
        """Whether this round has found a call: then another round follows."""
        self._is_crowded = False
        """Whether there has been no place at all."""

    async def take(self) -> tuple[Sequence[Any], bool]:
        """The calls to begin now, and whether more may be due that have a place."""
        free = min(BATCH, MOST - self._running.total())
        self._is_crowded = free <= 0
        if self._is_crowded:
            return (), False
        if self._full:
            return await self._take_at_hosts(free)
        hosts, counts = list(self._running), list(self._running.values())
        rows = await self._shared.fetch(
            statement("calls_claim"), LOST_MS, free, hosts, counts, MOST_A_HOST, self.functions
        )
        return self._taken(rows), bool(rows)

    def ended(self, host: str) -> bool:
        """A call to ``host`` has ended. Returns whether it is time to take others in its place."""
        self._running[host] -= 1
        has_places = host in self._full and self._running[host] <= MOST_A_HOST // 2
        if has_places:
            self._full.remove(host)
        if not self._running[host]:
            del self._running[host]
        return has_places or (self._is_crowded and self._running.total() <= MOST - MOST_A_HOST // 2)

    async def _take_at_hosts(self, most: int) -> tuple[Sequence[Any], bool]:
        """Go from host to host, on from where the last walk has ended, and pass by those without a place: in
        the order in which calls are due, their backlog would have to be read.
        """
        if not self._last:
            self._found = False
        seen = await self._shared.fetch(statement("calls_hosts"), self._last, HOSTS, self.functions)
        places = self._places([row["host"] for row in seen if row["is_due"]])
        rows = await self._taken_at(places, most) if places else ()
        self._found = self._found or bool(rows)
        if len(rows) == most:
            self._last = _furthest(list(places), rows)
        else:
            self._last = seen[-1]["host"] if len(seen) == HOSTS else ""
        return self._taken(rows), self._found or bool(self._last)

    async def _taken_at(self, places: Mapping[str, int], most: int) -> Sequence[Any]:
        hosts, counts = list(places), list(places.values())
        return await self._shared.fetch(statement("calls_claim_at_hosts"), LOST_MS, most, hosts, counts)

    def _places(self, hosts: Sequence[str]) -> Mapping[str, int]:
        """How many calls to each host may begin; without those to which none may."""
        return {host: MOST_A_HOST - self._running[host] for host in hosts if host not in self._full}

    def _taken(self, rows: Sequence[Any]) -> Sequence[Any]:
        self._running.update(row["host"] for row in rows)
        self._full.update(host for host, running in self._running.items() if running >= MOST_A_HOST)
        return rows


def _furthest(hosts: Sequence[str], rows: Sequence[Any]) -> str:
    """The last of ``hosts`` of which a call was taken."""
    taken = {row["host"] for row in rows}
    return next(host for host in reversed(hosts) if host in taken)
