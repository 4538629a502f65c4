"""What monitoring can ask of a process with workers: whether it is ready, and its metrics. The engine itself
does not depend on it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from postmill.engine.waiting_figures import WaitingFigures
from postmill.metrics.probe import METHODS, Answer, Probe
from postmill.metrics.tally import Tally
from postmill.model.events import Event
from postmill.web.routes import Route

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from postmill.engine.engine import Engine
    from postmill.engine.worker import QueueWorker

MISSING = b"prometheus-client is not installed: pip install 'postmill[prometheus]'\n"


class WorkerProbe:
    """The probe of one engine, on ``host`` and ``port`` (0 takes a free one). ``start`` before the engine, so
    that it answers while that waits for a server.
    """

    def __init__(self, engine: Engine, host: str, port: int) -> None:
        self._engine = engine
        self._tallies: list[Tally] = []
        self._process = Tally("*", "postmill", 0, lambda: 0)
        engine.events.counters.append(self._process.count)
        engine.on_worker.append(self._count)
        self._waiting = WaitingFigures()
        self._probe = Probe(host, port, self.routes)

    @property
    def routes(self) -> Sequence[Route[Callable[[], Answer]]]:
        """All that there is to be asked for."""
        return (
            Route(METHODS, "/live", self._live),
            Route(METHODS, "/ready", self._ready),
            Route(METHODS, "/metrics", self._metrics),
        )

    async def start(self) -> None:
        """Listen, and say where. Raises :class:`InvalidOption` when the port can't be had."""
        url = await self._probe.start()
        self._engine.events.emit(Event.PROBE_LISTENING, url=url)

    async def stop(self) -> None:
        """Close the port."""
        await self._probe.stop()
        await self._waiting.stop()

    def _count(self, worker: QueueWorker) -> None:
        options = worker.handler.options
        tally = Tally(
            options.queue, worker.handler.name, options.max_concurrent, lambda: worker.dispatcher.running
        )
        worker.events.counters.append(tally.count)
        self._tallies.append(tally)

    def _live(self) -> Answer:
        return Answer(200, b"live\n")  # the answer itself is the proof

    def _ready(self) -> Answer:
        reason = self._engine.not_ready
        return Answer(200, b"ready\n") if reason is None else Answer(503, f"{reason}\n".encode())

    def _metrics(self) -> Answer:
        try:
            from postmill.metrics import prometheus  # noqa: PLC0415 - an extra
        except ImportError:
            return Answer(501, MISSING)
        if self._engine.not_ready is None:
            self._waiting.ask(self._engine.workers, self._engine.schedule_figures)
        collector = prometheus.TallyCollector(
            self._tallies, lambda: self._engine.not_ready is None, self._process
        )
        waiting = prometheus.WaitingCollector(self._waiting.by_queue)
        schedules = prometheus.SchedulesCollector(self._waiting.schedules)
        text = prometheus.exposition([collector, waiting, schedules])
        return Answer(200, text, prometheus.CONTENT_TYPE)
