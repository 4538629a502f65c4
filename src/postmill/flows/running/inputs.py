"""What tasks are given: asked for in one statement for all messages that were bound in one turn of the event
loop, each step of a run once.

What the items of a map share is kept for a moment, and that a run's input fits. Nothing else is kept from one
turn to the next: a run may be paused, cancelled or undone meanwhile.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec

from postmill.db.hot.outage import is_passing
from postmill.model.queue.outcome import Snooze
from postmill.service.service import new_task
from postmill.sql.catalog import statement

if TYPE_CHECKING:
    from postmill.db.hot.shared_connection import SharedConnection
    from postmill.model.queue.message import Message

AWAY_S = 0.5
"""A task whose inputs can't be asked for is taken again after so many seconds. It is no attempt."""

FRESH_S = 0.1
"""What has come with a message, or was asked for another item of its map, holds for so many seconds. 0.1 s: a
step that begins at once needs no query, and one that had to wait learns what became of its run.
"""

MOST_FITTING = 1000
"""Runs of which a worker keeps in mind that their input fits. 1,000 are more than it has under way at a
time; of one that it has forgotten it looks at the input again, which is no more than work.
"""

_Key = tuple[int, str]
_fields = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


@dataclass(frozen=True, slots=True)
class Inputs:
    """What the database knows of one step of a run."""

    flow: str
    """What the run is of."""
    run_state: str
    step_state: str | None
    """None: the step has not begun."""
    kind: str
    """The step's, in the run's version."""
    values: dict[str, msgspec.Raw]
    """JSON by parameter, as the run's version reads it; without what a map gives to each item."""
    output: str | None
    """Of a run that is being undone: what the step has given, as JSON."""
    run_input: str | None = None
    """The run's input, as JSON, where the program has to look at it before the step."""

    @property
    def is_running_map(self) -> bool:
        """Whether it holds for each item of a map that may run now."""
        return self.kind == "map" and self.run_state == "running" and self.step_state == "started"


class _Given(msgspec.Struct, frozen=True):
    """The same as a settlement tells it of a step that it has begun."""

    run_id: int
    step: str
    flow: str
    run_state: str
    step_state: str | None
    kind: str
    inputs: dict[str, msgspec.Raw]
    run_input: str | None = None


_all_given = msgspec.json.Decoder(list[_Given]).decode


class InputQueries:
    """The queries of one worker."""

    def __init__(self) -> None:
        self._given = ""
        self._known: dict[_Key, Inputs] = {}
        """What ``_given`` says."""
        self._maps: dict[_Key, tuple[Inputs, float]] = {}
        """What was told of maps whose items may run, and when it was asked for."""
        self._wanted: dict[_Key, asyncio.Future[Inputs | None]] = {}
        self._asking: asyncio.Task[None] | None = None
        self._fitting: dict[int, None] = {}
        """In the order in which they were noted."""

    def note_fitting(self, run: int) -> None:
        """The run's input fits its flow, and changes no more: it need not be asked for again."""
        self._fitting[run] = None
        if len(self._fitting) > MOST_FITTING:
            del self._fitting[next(iter(self._fitting))]

    def is_fitting(self, run: int) -> bool:
        """Whether that was noted of the run."""
        return run in self._fitting

    def known(self, run: int, step: str, message: Message) -> Inputs | None:
        """What has come with the message, or was told of its map since it was claimed; None: nothing, or the
        message had to wait.
        """
        if message.given is None:
            inputs, asked_at = self._maps.get((run, step), (None, 0.0))
            return inputs if message.claim.renewed_at <= asked_at and _is_fresh(asked_at) else None
        if not _is_fresh(message.claim.renewed_at):
            return None
        if message.given is not self._given:
            self._given = message.given
            self._known = {(each.run_id, each.step): _told(each) for each in _all_given(message.given)}
        return self._known.get((run, step))

    async def of(self, run: int, step: str, reads: SharedConnection) -> Inputs | None:
        """What this step is given; None when there is no such run, or its version has no such step. Raises
        ``Snooze`` in an outage.
        """
        found = self._wanted.get((run, step))
        if found is None:
            found = self._wanted[run, step] = asyncio.get_running_loop().create_future()
            if self._asking is None or self._asking.done():
                self._asking = new_task(self._ask(reads))
        try:
            return await asyncio.shield(found)
        except Exception as error:
            if is_passing(error):
                raise Snooze(AWAY_S) from error
            raise

    async def _ask(self, reads: SharedConnection) -> None:
        """One statement a turn, until nothing is wanted any more."""
        while self._wanted:
            wanted, self._wanted = self._wanted, {}
            asked_at = time.monotonic()
            try:
                found = await self._asked(reads, list(wanted))
            except Exception as error:
                _fail(wanted, error)
            except BaseException:  # other code has cancelled every task of the process
                wanted.update(self._wanted)
                self._wanted = {}
                _fail(wanted, ConnectionError("the query was cut"))
                raise
            else:
                self._keep(found, asked_at)
                for key, future in wanted.items():
                    if not future.done():
                        future.set_result(found.get(key))

    async def _asked(self, reads: SharedConnection, keys: list[_Key]) -> dict[_Key, Inputs]:
        runs, steps = [run for run, _ in keys], [step for _, step in keys]
        fitting = list(self._fitting.keys() & runs)
        rows = await reads.fetch(statement("step_inputs"), runs, steps, fitting)
        return {(row["run_id"], row["step"]): _inputs(row) for row in rows}

    def _keep(self, found: dict[_Key, Inputs], asked_at: float) -> None:
        fresh = {key: kept for key, kept in self._maps.items() if _is_fresh(kept[1])}
        self._maps = fresh | {key: (each, asked_at) for key, each in found.items() if each.is_running_map}


def _is_fresh(asked_at: float) -> bool:
    return time.monotonic() - asked_at <= FRESH_S


def _told(each: _Given) -> Inputs:
    return Inputs(each.flow, each.run_state, each.step_state, each.kind, each.inputs, None, each.run_input)


def _inputs(row: Any) -> Inputs:
    return Inputs(
        row["flow"],
        row["run_state"],
        row["step_state"],
        row["kind"],
        _fields(row["inputs"] or "{}"),
        row["output"],
        row["run_input"],
    )


def _fail(wanted: dict[_Key, asyncio.Future[Inputs | None]], error: Exception) -> None:
    """Tell those that wait. A query that was cut is as an outage: the next try asks again."""
    for future in wanted.values():
        if not future.done():
            future.set_exception(error)
            future.exception()  # seen, also where the one that waited has been cancelled
