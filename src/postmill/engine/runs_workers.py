"""What runs the workers of a process, as the process sees it: one engine, or several that share its slots."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Mapping, Sequence

    from postmill.engine.engine import MakeService
    from postmill.engine.worker import QueueWorker
    from postmill.model.config.release import Release
    from postmill.model.errors import PostmillError
    from postmill.service.events import Events

    MakeEngine: TypeAlias = Callable[[Sequence[MakeService]], "RunsWorkers"]


class RunsWorkers(Protocol):
    """See :class:`~postmill.engine.engine.Engine`, whose members these are."""

    events: Events
    started: asyncio.Event
    release: Release
    on_worker: list[Callable[[QueueWorker], None]]
    on_over: list[Callable[[], object]]

    @property
    def failure(self) -> PostmillError | None: ...

    @property
    def workers(self) -> Sequence[QueueWorker]: ...

    @property
    def running(self) -> int: ...

    @property
    def not_ready(self) -> str | None: ...

    async def start(self) -> None: ...

    async def stop(self, reason: str = "shutdown") -> None: ...

    def force(self) -> None: ...

    async def schedule_figures(self) -> Mapping[str, Any]: ...

    async def is_work_left(self) -> bool: ...
