"""What a worker without flows does with the task of a flow, where programs share a queue: it leaves it to the
program that has the flow. It neither runs it, nor buries it as a message that its handler can't read.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import asyncpg
import msgspec

from postmill.db.hot.outage import is_passing
from postmill.engine.wrapped_handler import WrappedHandler
from postmill.flows.running.inputs import AWAY_S
from postmill.flows.running.run_loader import RunLoader
from postmill.flows.running.settlings import STEPS, StepHeld
from postmill.flows.running.task import Origin, origin_of
from postmill.model.queue.outcome import Snooze, one_a_message

if TYPE_CHECKING:
    from collections.abc import Awaitable, Mapping, Sequence

    from postmill.engine.handler import Handler
    from postmill.engine.run.attempt import Attempt
    from postmill.engine.settle.settlement import Entry
    from postmill.model.queue.message import Message

_BEGINNING = '{"run": '
"""How the text of a task begins: jsonb has short names first. Any other message costs this look only."""
_NAMES = frozenset({"run", "flow", "step", "item", "wake", "undo", "child", "value"})
"""What a task may say of itself. A message with another name in it is none."""
_names = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


class LeavingHandler(WrappedHandler):
    """A handler that is given no task of a flow."""

    def __init__(self, handler: Handler) -> None:
        super().__init__(handler)
        self._runs = RunLoader(())
        self._settlings = {**handler.settlings, StepHeld: STEPS[StepHeld]}

    @property
    def settlings(self) -> Mapping[type, Entry]:
        """See :class:`postmill.engine.handler.Handler`. One end more: the task is left."""
        return self._settlings

    def bind(self, message: Message, attempt: Attempt) -> Awaitable[Any]:
        """See :class:`postmill.engine.handler.Handler`."""
        if message.raw.startswith(_BEGINNING) and (origin := _origin_of(message)) is not None:
            return self._bind(origin, message, attempt)
        return self._handler.bind(message, attempt)

    def bind_batch(self, messages: Sequence[Message], attempts: Sequence[Attempt]) -> Awaitable[Any]:
        """See :class:`postmill.engine.handler.Handler`."""
        if any(message.raw.startswith(_BEGINNING) for message in messages):
            return self._bind_batch(messages, attempts)
        return self._handler.bind_batch(messages, attempts)

    async def _bind(self, origin: Origin, message: Message, attempt: Attempt) -> Any:
        if await self._is_task(origin, attempt):
            return StepHeld("version")
        return await self._handler.bind(message, attempt)

    async def _bind_batch(self, messages: Sequence[Message], attempts: Sequence[Attempt]) -> list[Any]:
        outcomes: list[Any] = [None] * len(messages)
        others = []
        for place, (message, attempt) in enumerate(zip(messages, attempts, strict=True)):
            origin = _origin_of(message)
            try:
                if origin is not None and await self._is_task(origin, attempt):
                    outcomes[place] = StepHeld("version")
                    continue
            except Snooze as later:
                outcomes[place] = later
                continue
            others.append(place)
        if others:
            returned = await self._handler.bind_batch(
                [messages[place] for place in others], [attempts[place] for place in others]
            )
            for place, outcome in zip(others, one_a_message(returned, len(others)) or (), strict=False):
                outcomes[place] = outcome
        return outcomes

    async def _is_task(self, origin: Origin, attempt: Attempt) -> bool:
        """Whether there is this run of this flow. Raises ``Snooze`` in an outage."""
        try:
            run = await self._runs.load(origin.run, origin.wake or 0, attempt.services.reads)
        except Exception as error:
            if is_passing(error):
                raise Snooze(AWAY_S) from error
            if isinstance(error, asyncpg.PostgresError):  # no right to see runs
                return False
            raise
        return run is not None and (run.flow == origin.flow or (not origin.flow and run.is_live))


def _origin_of(message: Message) -> Origin | None:
    """Where the message says to come from, if it may be a flow's."""
    origin = origin_of(message)
    if origin is None or not (origin.flow or origin.wake is not None):
        return None
    return origin if _names(message.raw).keys() <= _NAMES else None
