"""A handler round another one: it is the other in all but how a message runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from postmill.client.sending import Statement
    from postmill.engine.backend import Backend
    from postmill.engine.handler import Handler
    from postmill.engine.run.attempt import Attempt
    from postmill.engine.settle.settlement import Entry
    from postmill.model.queue.attempt_policy import PolicyFor
    from postmill.model.queue.message import Message
    from postmill.model.queue.worker_options import WorkerOptions
    from postmill.service.events import Events


class WrappedHandler:
    """See :class:`postmill.engine.handler.Handler` for each of its parts."""

    def __init__(self, handler: Handler) -> None:
        self._handler = handler

    @property
    def name(self) -> str:
        """See :class:`postmill.engine.handler.Handler`."""
        return self._handler.name

    @property
    def options(self) -> WorkerOptions:
        """See :class:`postmill.engine.handler.Handler`."""
        return self._handler.options

    @property
    def declarations(self) -> Sequence[Statement]:
        """See :class:`postmill.engine.handler.Handler`."""
        return self._handler.declarations

    @property
    def settlings(self) -> Mapping[type, Entry]:
        """See :class:`postmill.engine.handler.Handler`."""
        return self._handler.settlings

    @property
    def policy_for(self) -> PolicyFor | None:
        """See :class:`postmill.engine.handler.Handler`."""
        return self._handler.policy_for

    @property
    def runs_flows(self) -> bool:
        """See :class:`postmill.engine.handler.Handler`."""
        return self._handler.runs_flows

    @property
    def backend(self) -> Callable[[Events], Backend] | None:
        """See :class:`postmill.engine.handler.Handler`."""
        return self._handler.backend

    def bind(self, message: Message, attempt: Attempt) -> Awaitable[Any]:
        """See :class:`postmill.engine.handler.Handler`."""
        return self._handler.bind(message, attempt)

    def bind_batch(self, messages: Sequence[Message], attempts: Sequence[Attempt]) -> Awaitable[Any]:
        """See :class:`postmill.engine.handler.Handler`."""
        return self._handler.bind_batch(messages, attempts)

    def close(self) -> None:
        """See :class:`postmill.engine.handler.Handler`."""
        self._handler.close()
