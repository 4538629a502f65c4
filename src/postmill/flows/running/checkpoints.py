"""Records what steps of workflows came to, and what they say: of all runs of a worker together.

A record counts only while the message that it was made under is the worker's. The first record of a step
stays: a worker that comes second takes that one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from postmill.engine.settle.settlement import array_literal
from postmill.flows.running.replay import Recorded
from postmill.flows.running.together import Together
from postmill.model.queue.queue_name import QueueShape
from postmill.sql.catalog import queue_statement

if TYPE_CHECKING:
    from collections.abc import Sequence

    from postmill.db.hot.shared_connection import SharedConnection
    from postmill.model.queue.message import Message


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """One step's outcome, or its failed attempt, on its way to the database."""

    message: Message
    """The one under which it was made."""
    run_id: int
    wake: int
    step: str
    outcome: Recorded
    signal_id: int | None = None
    """The signal that a wait takes with it."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of a checkpoint."""

    written: bool = True
    stands: Recorded | None = None
    """The outcome that another worker has written before; None with ``written``, and where none stands."""
    run_state: str | None = "running"
    """None: the run is gone."""
    newest: bool = True
    """Whether the run was not woken since."""

    @property
    def goes_on(self) -> bool:
        """Whether the run runs on under this message."""
        return self.newest and self.run_state in {"running", "undoing"}


@dataclass(frozen=True, slots=True)
class Said:
    """What a workflow says while it runs."""

    message: Message
    run_id: int
    step: str | None
    name: str
    content: str
    """JSON text."""


WRITTEN = Answer()


def arguments_of(checkpoints: Sequence[Checkpoint]) -> tuple[Any, ...]:
    """The arguments of the statement ``run_checkpoint``."""
    return (
        array_literal(each.message.msg_id for each in checkpoints),
        array_literal(each.message.read_ct for each in checkpoints),
        array_literal(each.run_id for each in checkpoints),
        array_literal(each.wake for each in checkpoints),
        [each.step for each in checkpoints],
        [each.outcome.state for each in checkpoints],
        [each.outcome.output for each in checkpoints],
        [each.outcome.inputs for each in checkpoints],
        [each.outcome.reason for each in checkpoints],
        [each.outcome.attempts for each in checkpoints],
        [each.outcome.left_s for each in checkpoints],
        [each.signal_id for each in checkpoints],
    )


def answers(rows: Sequence[Any], count: int) -> list[Answer]:
    """The answer to each of ``count`` checkpoints, from the rows of the statement: it has one only for what
    is no plain success.
    """
    found = [WRITTEN] * count
    for row in rows:
        found[row["place"] - 1] = Answer(
            row["written"],
            None
            if row["written"] or row["state"] is None
            else Recorded(row["state"], row["output"], row["inputs_before"], row["reason"]),
            row["run_state"],
            row["newest"],
        )
    return found


def _texts_of(checkpoint: Checkpoint) -> tuple[str | None, ...]:
    outcome = checkpoint.outcome
    return outcome.output, outcome.inputs, outcome.reason


class Checkpoints:
    """The records of one worker's runs."""

    def __init__(self, queue: str) -> None:
        self._shape = QueueShape(queue, 0)
        self._shared: SharedConnection | None = None
        self._outcomes: Together[Checkpoint, Answer] = Together(self._write, _texts_of)
        self._sayings: Together[Said, None] = Together(self._say, lambda said: (said.content,))

    async def write(self, checkpoint: Checkpoint, shared: SharedConnection) -> Answer:
        """Write it with the next statement. Raises what the database says of this one alone."""
        self._shared = shared
        return await self._outcomes.ask(checkpoint)

    async def say(self, said: Said, shared: SharedConnection) -> None:
        """The same for what is said."""
        self._shared = shared
        await self._sayings.ask(said)

    async def _write(self, batch: list[Checkpoint]) -> list[Answer]:
        assert self._shared is not None  # noqa: S101
        text = queue_statement("run_checkpoint", self._shape)
        return answers(await self._shared.fetch(text, *arguments_of(batch)), len(batch))

    async def _say(self, batch: list[Said]) -> list[None]:
        assert self._shared is not None  # noqa: S101
        await self._shared.fetch(
            queue_statement("run_say", self._shape),
            array_literal(each.message.msg_id for each in batch),
            array_literal(each.message.read_ct for each in batch),
            [each.run_id for each in batch],
            [each.step for each in batch],
            [each.name for each in batch],
            [each.content for each in batch],
        )
        return [None] * len(batch)
