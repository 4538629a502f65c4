"""What monitoring can ask of a process that serves functions, on a port of its own: the metrics of schedules,
as a process with workers has them, and what the process reports of them. Requests are not counted here.
"""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from postmill.db.hot.shared_connection import SharedConnection
from postmill.engine.waiting_figures import WaitingFigures, schedule_figures
from postmill.metrics.process_probe import ProcessProbe
from postmill.metrics.tally import Tally
from postmill.service.events import Events

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence
    from typing import Any

    from prometheus_client.registry import Collector

    from postmill.gateway.readiness import Readiness
    from postmill.model.config.address import Address


class ServingProbe:
    """The probe of one process, on ``host`` and ``port`` (0 takes a free one)."""

    def __init__(self, where: Address, readiness: Readiness, host: str, port: int) -> None:
        self._shared = SharedConnection(where, "metrics")
        self._process = Tally("*", "postmill", 0, lambda: 0)
        self._figures = WaitingFigures()
        self._probe = ProcessProbe(host, port, readiness.why_not, self._collectors)

    async def start(self, events: Events) -> None:
        """Listen, say where, and count what ``events`` reports from now on. Raises ``InvalidOption`` when the
        port can't be had.
        """
        events.counters.append(self._process.count)
        await self._probe.start(events)

    async def stop(self) -> None:
        """Close the port and the connection."""
        await self._probe.stop()
        await self._figures.stop()
        await self._shared.close()

    def _collectors(self, is_ready: bool) -> Sequence[Collector]:
        from postmill.metrics import prometheus  # noqa: PLC0415 - an extra

        if is_ready:
            self._figures.ask((), self._schedules)
        return (
            prometheus.TallyCollector((), lambda: is_ready, self._process),
            prometheus.SchedulesCollector(self._figures.schedules),
        )

    async def _schedules(self) -> Mapping[str, Any]:
        return await schedule_figures(self._shared)


@asynccontextmanager
async def reported(where: Address, readiness: Readiness, at: tuple[str, int] | None) -> AsyncIterator[Events]:
    """The events of the whole process; a probe ``at`` that host and port counts them, where there is one."""
    events = Events(function="postmill", queue="*")
    probe = None if at is None else ServingProbe(where, readiness, *at)
    if probe is not None:
        await probe.start(events)
    try:
        yield events
    finally:
        if probe is not None:
            await probe.stop()
