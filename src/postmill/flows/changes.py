"""From one read of a run's changes to the events of a stream, without what the stream has told already. No
I/O.

A position is the first transaction that had not ended at a read. What such a transaction commits later
carries a number that is not smaller, so that a stream which goes on from a position misses nothing, in
whatever order transactions commit. It finds again what was committed from there on; :class:`Changes` knows
that by its number.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, NamedTuple

from postmill.client.sending import Statement
from postmill.flows.events import Emitted, RunChanged, RunEvent, StepChanged
from postmill.model.errors import InvalidOption
from postmill.model.queue.payload import loads
from postmill.sql.catalog import statement

if TYPE_CHECKING:
    from collections.abc import Sequence

PAGE = 500
"""Values that steps have said in one read at most. With values of a few hundred bytes a read takes
milliseconds.
"""
_LARGEST = 2**64 - 1
"""The largest number of a transaction: xid8 has 64 bits without a sign."""
_is_number = re.compile(r"[0-9]{1,20}", re.ASCII).fullmatch


class _Place(NamedTuple):
    changed: str | None = None
    event_id: int = 0


class Batch(NamedTuple):
    """What one read has found."""

    events: Sequence[RunEvent]
    position: str | None
    """Where a stream goes on that has told these events; None: from the beginning."""
    is_last: bool
    """Whether the run has ended, and everything is told."""


class Changes:
    """What one stream has told of a run so far."""

    def __init__(self, run_id: int, position: str | None = None) -> None:
        """Raises :class:`InvalidOption` for a position that is none."""
        if position is not None and not (_is_number(position) and int(position) <= _LARGEST):
            raise InvalidOption(f"{position!r} is no position in a stream of events.", hint="Leave it out.")
        self.run_id = run_id
        self.position = position
        self._next: str | None = None
        self._place = _Place()
        self._told: dict[object, int] = {}
        """What was told of steps -> the transaction that has written it."""
        self._run_told: tuple[int, str] | None = None
        """The same of the run, and the state that was told."""

    @property
    def is_paging(self) -> bool:
        """Whether a read has left something that is there already."""
        return self._next is not None

    def asking(self) -> Statement:
        """The statement that reads on."""
        return Statement(
            statement("run_news"),
            (self.run_id, self.position, self._place.changed, self._place.event_id, PAGE),
            "",
        )

    def batch(self, found: Sequence[str]) -> Batch | None:
        """What of an answer is news; None: there is no such run."""
        if not found:
            return None
        run, *rows = map(loads, found)
        said = [row for row in rows if "event_id" in row]
        is_whole = len(said) < PAGE
        is_last = is_whole and run["ended"]
        if run["since"] is None:
            self.position = None  # it is of another server, or there was none
        ends_later = run["ended"] and not is_whole
        in_order = rows if ends_later else [*rows, run] if is_last else [run, *rows]
        events = [event for row in in_order if (event := self._news(row)) is not None]
        self._next = self._next or run["position"]
        if is_whole:
            self._go_on()
        else:
            self._place = _Place(said[-1]["changed"], said[-1]["event_id"])
        return Batch(events, self.position, is_last)

    def _go_on(self) -> None:
        self.position, self._next, self._place = self._next, None, _Place()
        first = int(self.position or 0)
        self._told = {key: changed for key, changed in self._told.items() if changed >= first}

    def _news(self, row: dict[str, Any]) -> RunEvent | None:
        key, event = _event(row)
        changed = int(row["changed"])
        if isinstance(event, RunChanged):
            return event if self._is_due(changed, event.state, ended=row["ended"]) else None
        if self._told.get(key) == changed:
            return None
        self._told[key] = changed
        return event

    def _is_due(self, changed: int, state: str, *, ended: bool) -> bool:
        """The run is read each time: whether that tells more than is known. A run that has not ended comes to
        wait, and goes on, without a change of its own row: its steps and the clock say so.
        """
        told, self._run_told = self._run_told, (changed, state)
        if told == self._run_told:
            return False
        return not ended or self.position is None or changed >= int(self.position)


def _event(row: dict[str, Any]) -> tuple[object, RunEvent]:
    if "event_id" in row:
        return row["event_id"], Emitted(row["name"], row["value"], row["step"])
    if "step" in row:
        return row["step"], StepChanged(
            row["step"], row["state"], row["tasks"], row["tasks_left"], row["reason"], row["attempts"]
        )
    return None, RunChanged(row["state"], row["culprit"], row["reason"])
