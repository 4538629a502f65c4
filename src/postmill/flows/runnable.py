"""What runs are of: a flow, or a workflow, as far as its runs and steps need to know it."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

    from postmill.flows.flow_options import FlowOptions

T_co = TypeVar("T_co", covariant=True)


class Runnable(Generic[T_co]):
    """A flow or a workflow whose runs give ``T_co``."""

    name: str
    kind: Literal["graph", "workflow"]
    module: str
    """Where it was defined. One that a module has imported, to start it, is not its own."""
    worker_options: FlowOptions
    """How its worker runs."""
    schedule: str | None
    """When runs of it start by themselves, with the empty object as input; None: never."""
    timezone: str
    """Of the times of day in its schedule."""
    deadline_s: float | None = None
    """Seconds after which a run that has not ended fails, unless its start says otherwise."""
    result_type: Any
    """The annotation of what a run gives."""
    decode_result: Callable[[str], Any]
    """What a run gives, from its JSON text. Raises ``InvalidPayload`` for what does not fit."""

    @property
    @abstractmethod
    def registered(self) -> tuple[str, str]:
        """What the database is told of it, as JSON texts: the shape, and what the program has chosen beside
        it. Steps of a workflow are known by its code only, so it has one version.
        """

    @abstractmethod
    def check_input(self, text: str) -> object:
        """What an input, as JSON text, is decoded to. Raises ``InvalidPayload`` for one that does not fit."""

    @property
    def queue(self) -> str:
        """Where its tasks go, unless a step says otherwise."""
        return self.worker_options.queue

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.name!r})"
