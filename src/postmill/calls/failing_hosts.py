"""Counts failed calls by host, for a bounded number of hosts: those that fail most are named, and all others
are one. Every count only grows, and together they are all failures.
"""

from __future__ import annotations

from collections import Counter

MOST_HOSTS = 100
"""Hosts that are named. A hundred: each is a series for Prometheus, and calls may name any host."""
OTHERS = "others"


class FailingHosts:
    """The hosts of one process. One that is not named takes the place of another when it has failed more
    often; what it has failed before stays with the others.
    """

    def __init__(self, most: int = MOST_HOSTS) -> None:
        self._most = most
        self._counts: Counter[str] = Counter()
        """What is shown of the hosts that are named."""
        self._others = 0
        self._ranks: Counter[str] = Counter()
        """How often the hosts that are named have failed, and those that may be named next: as many."""

    def note(self, host: str) -> None:
        """A call to ``host`` has failed."""
        self._ranks[host] += 1
        if host in self._counts or len(self._counts) < self._most:
            self._counts[host] += 1
            return
        self._others += 1
        weakest = min(self._counts, key=self._ranks.__getitem__)
        if self._ranks[host] > self._ranks[weakest]:
            self._others += self._counts.pop(weakest)
            self._counts[host] = 0
        elif len(self._ranks) > 2 * self._most:
            self._forget_rare_ones()

    def counts(self) -> dict[str, int]:
        """Failures by host."""
        return {**self._counts, OTHERS: self._others} if self._others else dict(self._counts)

    def _forget_rare_ones(self) -> None:
        """Take one from each host that is not named, and forget those that have none left: whatever fails
        often among them outlives that (Misra and Gries, 1982).
        """
        for host in [each for each in self._ranks if each not in self._counts]:
            self._ranks[host] -= 1
            if not self._ranks[host]:
                del self._ranks[host]
