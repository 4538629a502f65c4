"""What the engine runs. The engine gets a handler and does not look inside it: not at functions, annotations,
hosts or flows.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from postmill.client.sending import Statement
    from postmill.engine.backend import Backend
    from postmill.engine.run.attempt import Attempt
    from postmill.engine.settle.settlement import Entry
    from postmill.model.queue.attempt_policy import PolicyFor
    from postmill.model.queue.message import Message
    from postmill.model.queue.worker_options import WorkerOptions
    from postmill.service.events import Events


class Handler(Protocol):
    """A user's code, ready to be run by a worker."""

    @property
    def name(self) -> str:
        """The name in the worker's row and in log lines."""

    @property
    def options(self) -> WorkerOptions:
        """How it wants to be run."""

    @property
    def declarations(self) -> Sequence[Statement]:
        """What it tells the database before its worker claims, at each start. What refuses one of them ends
        the start.
        """

    @property
    def settlings(self) -> Mapping[type, Entry]:
        """How the handler's own outcomes are settled, by class. A value of one of these classes that it
        returns or raises is settled as it is.
        """

    @property
    def policy_for(self) -> PolicyFor | None:
        """The retry policy and the time limit of a message; None: the worker's options hold for each."""

    @property
    def runs_flows(self) -> bool:
        """Whether its queue has the tasks of flows: these live in one database, whatever a route says."""

    @property
    def backend(self) -> Callable[[Events], Backend] | None:
        """Makes what it runs on beside this process, which its worker begins before it claims; None:
        nothing.
        """

    def bind(self, message: Message, attempt: Attempt) -> Awaitable[Any]:
        """The call for one message, not begun. Raises ``InvalidPayload`` when the payload does not fit."""

    def bind_batch(self, messages: Sequence[Message], attempts: Sequence[Attempt]) -> Awaitable[Any]:
        """The call for several messages at once; used only when ``options.batch`` is set."""

    def close(self) -> None:
        """End its threads and processes."""
