"""The slots of a handler: how many of its messages may run at once. Where a handler works on several
databases, its dispatchers, one for each, share them: none has a part of its own, and none can keep the others
from theirs.
"""

from __future__ import annotations

from typing import Protocol

from postmill.model.queue.prefetch import WINDOW_S


class SlotUser(Protocol):
    """A dispatcher, as the others of its handler see it."""

    running: int
    """Slots that it has."""
    begun: int
    """How many it has taken so far."""

    @property
    def waiting(self) -> int:
        """Slots that the messages would fill which wait for one."""

    @property
    def rate(self) -> float:
        """Messages that it finishes in a second of work."""

    def serve(self) -> None:
        """Begin with what waits, as far as there are free slots."""

    def look_for_room(self) -> None:
        """A slot of another one has become free."""


class Slots:
    """The slots of one handler in this process."""

    def __init__(self, most: int) -> None:
        self.most = most
        """How many there are."""
        self.running = 0
        """How many are taken."""
        self._users: list[SlotUser] = []
        self._is_shared = False

    def join(self, user: SlotUser) -> None:
        """``user`` takes slots from now on."""
        self._users.append(user)
        self._is_shared = len(self._users) > 1

    @property
    def are_free(self) -> bool:
        """Whether a message may begin."""
        return self.running < self.most

    def free_for(self, user: SlotUser) -> int:
        """How many slots ``user`` could fill at once: what others hold ready comes before what it claims."""
        if not self._is_shared:
            return self.most - self.running
        ready = sum(other.waiting for other in self._users if other is not user)
        return self.most - self.running - ready

    def reach_of(self, user: SlotUser) -> int:
        """How many slots ``user`` has, or could have: all that the others don't."""
        return self.most - (self.running - user.running)

    def in_advance(self, user: SlotUser) -> int:
        """How many messages ``user`` may claim though no slot is free, to have its share of those that end
        soon: none where they take longer than a moment, as a message that waits here could run elsewhere.
        """
        if not self._is_shared:
            return 0
        share = -(-self.most // len(self._users))
        turnover = int(sum(each.rate for each in self._users) * WINDOW_S)
        return max(0, min(share - user.running - user.waiting, turnover))

    def are_due_to_another(self, user: SlotUser) -> bool:
        """Whether a slot of ``user`` is another's next: of one that has fewer, and something ready."""
        return self._is_shared and any(
            other.running < user.running and other.waiting for other in self._users if other is not user
        )

    def began(self) -> None:
        """A slot is taken."""
        self.running += 1

    def ended(self, user: SlotUser) -> None:
        """A slot of ``user`` is free again: the user with the fewest is served first, and among equals the
        one that has had fewest so far.
        """
        self.running -= 1
        if not self._is_shared:
            user.serve()
            return
        for each in sorted(self._users, key=lambda one: (one.running, one.begun)):
            each.serve()
        for each in self._users:
            if each is not user:
                each.look_for_room()
