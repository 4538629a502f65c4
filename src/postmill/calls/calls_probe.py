"""What orchestrators and Prometheus ask a process that makes calls; the answers are those of
``postmill.metrics``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from postmill.calls.failing_hosts import FailingHosts
from postmill.engine.worker_probe import MISSING
from postmill.metrics.probe import METHODS, Answer, Probe
from postmill.model.events import Event
from postmill.web.routes import Route

if TYPE_CHECKING:
    from typing import Any

    from postmill.calls.calling import Calling


class CallsProbe:
    """The probe of one process, on ``host`` and ``port`` (0 takes a free one)."""

    def __init__(self, calling: Calling, host: str, port: int) -> None:
        self._calling = calling
        self._failed = FailingHosts()
        self._probe = Probe(
            host,
            port,
            (
                Route(METHODS, "/live", lambda: Answer(200, b"live\n")),
                Route(METHODS, "/ready", self._ready),
                Route(METHODS, "/metrics", self._metrics),
            ),
        )
        calling.events.listeners.append(self._count)

    async def start(self) -> None:
        """Listen, and say where. Raises ``InvalidOption`` when the port can't be had."""
        self._calling.events.emit(Event.PROBE_LISTENING, url=await self._probe.start())

    async def stop(self) -> None:
        """Close the port."""
        await self._probe.stop()

    def _count(self, event: Event, fields: dict[str, Any]) -> None:
        if event is Event.CALL_FAILED:
            self._failed.note(str(fields["host"]))

    def _ready(self) -> Answer:
        trouble = self._calling.trouble
        return Answer(200, b"ready\n") if trouble is None else Answer(503, f"{trouble}\n".encode())

    def _metrics(self) -> Answer:
        try:
            from postmill.metrics import call_metrics, prometheus  # noqa: PLC0415 - an extra
        except ImportError:
            return Answer(501, MISSING)
        figures = call_metrics.CallsCollector(
            lambda: self._calling.running, self._calling.caller.answered, self._failed.counts
        )
        return Answer(200, prometheus.exposition([figures]), prometheus.CONTENT_TYPE)
