"""What a run can be started of: a flow, or a workflow. How its input is written, and how a run begins."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, ParamSpec, TypeVar

from postmill.flows.runnable import Runnable
from postmill.flows.start_options import StartOptions
from postmill.model.duration import seconds

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import timedelta

    import msgspec

    from postmill.engine.handler import Handler
    from postmill.flows.run import Run

P = ParamSpec("P")
T_co = TypeVar("T_co", covariant=True)


class Startable(Runnable[T_co], ABC, Generic[P, T_co]):
    """A flow or a workflow. Calls with ``P`` start a run that gives ``T_co``."""

    @abstractmethod
    def encode(self, *args: P.args, **kwargs: P.kwargs) -> msgspec.Raw:
        """A run's input as JSON. Raises ``InvalidPayload`` for what does not fit."""

    @abstractmethod
    def takes_one(self) -> tuple[str, Any]:
        """The name and the annotation of its only parameter. Raises ``InvalidFlow`` when it has none, or
        several.
        """

    @abstractmethod
    def handler(self) -> Handler:
        """What a worker runs."""

    async def start(self, *args: P.args, **kwargs: P.kwargs) -> Run[T_co]:
        """Start a run; returns its handle. Options of it: :meth:`options`."""
        return await self.options().start(*args, **kwargs)

    def options(
        self,
        *,
        key: str | None = None,
        delay: float | timedelta | None = None,
        tags: Sequence[str] = (),
        deadline: float | timedelta | None = None,
        priority: int | None = None,
        version: int | None = None,
        connection: Any = None,
    ) -> Starting[P, T_co]:
        """Start a run with options: ``await checkout.options(key="order-1").start(order)``.

        On ``connection``, the run begins with that connection's transaction. Raises :class:`InvalidOption`.
        """
        options = StartOptions(
            key=key,
            delay_s=None if delay is None else seconds(delay, "delay"),
            tags=tags,
            deadline_s=None if deadline is None else seconds(deadline, "deadline"),
            priority=priority,
            version=version,
            connection=connection,
        )
        return Starting(self, options)


@dataclass(frozen=True, slots=True)
class Starting(Generic[P, T_co]):
    """A flow with the options of one start."""

    of: Startable[P, T_co]
    options: StartOptions

    async def start(self, *args: P.args, **kwargs: P.kwargs) -> Run[T_co]:
        """Start the run; returns its handle. Raises ``InvalidPayload`` for an input that does not fit, and
        ``KeyConflict`` when the key is that of a run with another input.
        """
        from postmill.flows.starting import start  # noqa: PLC0415 - a flow that starts nothing needs no client

        return await start(self.of, self.of.encode(*args, **kwargs), self.options)
