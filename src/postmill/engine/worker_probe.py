"""What monitoring can ask of a process with workers: whether it is ready, and its metrics. The engine itself
does not depend on it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from postmill.engine.waiting_figures import WaitingFigures
from postmill.metrics.process_probe import ProcessProbe
from postmill.metrics.tally import Tally

if TYPE_CHECKING:
    from collections.abc import Sequence

    from prometheus_client.registry import Collector

    from postmill.engine.runs_workers import RunsWorkers
    from postmill.engine.worker import QueueWorker
    from postmill.metrics.probe import Ask
    from postmill.web.routes import Route


class WorkerProbe:
    """The probe of one engine, on ``host`` and ``port`` (0 takes a free one). ``start`` before the engine, so
    that it answers while that waits for a server.
    """

    def __init__(self, engine: RunsWorkers, host: str, port: int) -> None:
        self._engine = engine
        self._tallies: list[Tally] = []
        self._process = Tally("*", "postmill", 0, lambda: 0)
        engine.events.counters.append(self._process.count)
        engine.on_worker.append(self._count)
        self._waiting = WaitingFigures()
        self._probe = ProcessProbe(host, port, self._not_ready, self._collectors)

    @property
    def routes(self) -> Sequence[Route[Ask]]:
        """All that there is to be asked for."""
        return self._probe.routes

    async def start(self) -> None:
        """Listen, and say where. Raises :class:`InvalidOption` when the port can't be had."""
        await self._probe.start(self._engine.events)

    async def stop(self) -> None:
        """Close the port."""
        await self._probe.stop()
        await self._waiting.stop()

    def _count(self, worker: QueueWorker) -> None:
        options = worker.handler.options
        tally = Tally(
            worker.place, worker.handler.name, options.max_concurrent, lambda: worker.dispatcher.running
        )
        worker.events.counters.append(tally.count)
        self._tallies.append(tally)

    async def _not_ready(self) -> str | None:
        return self._engine.not_ready

    def _collectors(self, is_ready: bool) -> Sequence[Collector]:
        from postmill.metrics import prometheus  # noqa: PLC0415 - an extra

        if is_ready:
            self._waiting.ask(self._engine.workers, self._engine.schedule_figures)
        return (
            prometheus.TallyCollector(self._tallies, lambda: is_ready, self._process),
            prometheus.WaitingCollector(self._waiting.by_queue),
            prometheus.SchedulesCollector(self._waiting.schedules),
        )
