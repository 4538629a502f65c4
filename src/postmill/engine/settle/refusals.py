"""Outcomes that the database refuses for now. They are kept with their leases, and sent again.

Knows when each is due and whether the whole queue refuses. Sends nothing: see ``engine.settle.settler``.
"""

from __future__ import annotations

import random
import time
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from postmill.model.events import Event
from postmill.model.queue.refusal import Acceptance, Verdict
from postmill.service.backoff import Backoff

if TYPE_CHECKING:
    from collections.abc import Iterable

    from postmill.engine.settle.settlement import Pair
    from postmill.model.queue.message import Message
    from postmill.service.events import Events

FIRST_WAIT_S = 0.5
"""Seconds before the second try. 0.5 s: a right that an operator has just granted is used at once."""
LONGEST_WAIT_S = 30.0
"""The longest wait between two tries of one row, in seconds. 30 s: eight tries take about two minutes
(``model.queue.refusal.TRIES``).
"""
ASK_EVERY_S = 5.0
"""Seconds between two tries of the whole queue, at most. 5 s: one small statement in this time finds out that
the queue takes settlements again.
"""


@dataclass(slots=True)
class _Held:
    kind: str
    pair: Pair
    due_at: float


class Refusals:
    """The refused outcomes of one worker, and what they show about its queue."""

    def __init__(self, events: Events) -> None:
        self._events = events
        self.begun = False
        """Something was refused since the worker began: until then there is nothing to ask here."""
        self._acceptances: dict[str, Acceptance] = defaultdict(Acceptance)
        self._backoffs: dict[object, Backoff] = {}
        self._held: list[_Held] = []
        self._ask_at: dict[str, float] = {}

    def __len__(self) -> int:
        return len(self._held)

    @property
    def pairs(self) -> list[Pair]:
        """The outcomes that are kept."""
        return [held.pair for held in self._held]

    @property
    def queue_refuses(self) -> bool:
        """Whether settlements of some kind are refused whatever their row."""
        return any(acceptance.refusing for acceptance in self._acceptances.values())

    def is_refusing(self, kind: str) -> bool:
        """Whether settlements of this kind are refused whatever their row."""
        return kind in self._acceptances and self._acceptances[kind].refusing

    def judge(
        self, kind: str, message: Message, *, reason: str, lacking: str = "", patient: bool = False
    ) -> Verdict:
        """A single row was refused for an unclear reason; returns what that shows. ``patient``: the reason is
        temporary.
        """
        self.begun = True
        acceptance = self._acceptances[kind]
        known = acceptance.refusing
        verdict = acceptance.refused(message.msg_id, lacking=bool(lacking), patient=patient)
        if verdict is Verdict.QUEUE:
            self._ask_later(kind)
            if not known:
                self._say_refusing(kind, lacking or reason)
        return verdict

    def locked_away(self, kind: str, reason: str) -> None:
        """A table is locked, so that nothing of this kind can be written."""
        self.begun = True
        known = self.is_refusing(kind)
        self._acceptances[kind].refuses_all()
        self._ask_later(kind)
        if not known:
            self._say_refusing(kind, reason)

    def accepted(self, kind: str, ids: Iterable[int]) -> list[Pair]:
        """Rows were settled. Returns the outcomes that were kept because every row was refused."""
        if kind not in self._acceptances or not self._acceptances[kind].accepted(ids):
            return []
        self._backoffs.pop(kind, None)
        self._events.emit(Event.QUEUE_ACCEPTING, statement=kind, kept=len(self._held))
        released = [held.pair for held in self._held if held.kind == kind]
        self._held = [held for held in self._held if held.kind != kind]
        return released

    def hold(self, kind: str, pairs: Iterable[Pair]) -> None:
        """Keep outcomes until they are due again."""
        self.begun = True
        now, refusing = time.monotonic(), self.is_refusing(kind)
        for pair in pairs:
            wait_s = 0.0 if refusing else self._wait_s(_key(kind, pair[0]), LONGEST_WAIT_S)
            self._held.append(_Held(kind, pair, now + wait_s))

    def forget(self, kind: str, message: Message) -> None:
        """This outcome is not refused any more, or was given up."""
        self._backoffs.pop(_key(kind, message), None)

    def due(self) -> list[Pair]:
        """Outcomes to send again now, each alone; only one of a kind that the whole queue refuses."""
        now = time.monotonic()
        due: list[_Held] = []
        asked: set[str] = set()
        for held in self._held:
            if not self.is_refusing(held.kind):
                if held.due_at <= now:
                    due.append(held)
            elif held.kind not in asked and self._ask_at.get(held.kind, 0.0) <= now:
                asked.add(held.kind)
                due.append(held)
        chosen = set(map(id, due))
        self._held = [held for held in self._held if id(held) not in chosen]
        return [held.pair for held in due]

    def wait_s(self) -> float | None:
        """Seconds until something is due; None: nothing is held."""
        if not self._held:
            return None
        times = [
            self._ask_at.get(held.kind, 0.0) if self.is_refusing(held.kind) else held.due_at
            for held in self._held
        ]
        return max(0.0, min(times) - time.monotonic())

    def _ask_later(self, kind: str) -> None:
        self._ask_at[kind] = time.monotonic() + self._wait_s(kind, ASK_EVERY_S)

    def _wait_s(self, what: object, longest_s: float) -> float:
        backoff = self._backoffs.get(what)
        if backoff is None:
            backoff = Backoff(random.random, base_s=FIRST_WAIT_S, max_s=longest_s, failures=1)
            self._backoffs[what] = backoff
        return backoff.next_delay_s()

    def _say_refusing(self, kind: str, reason: str) -> None:
        self._events.emit(Event.QUEUE_REFUSING, statement=kind, reason=reason)


def _key(kind: str, message: Message) -> object:
    return kind, message.msg_id, message.read_ct
