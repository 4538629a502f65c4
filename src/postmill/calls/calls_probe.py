"""What orchestrators and Prometheus ask a process that makes calls; the answers are those of
``postmill.metrics``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from postmill.calls.failing_hosts import FailingHosts
from postmill.metrics.process_probe import ProcessProbe
from postmill.model.events import Event

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from prometheus_client.registry import Collector

    from postmill.calls.calling import Calling


class CallsProbe:
    """The probe of one process, on ``host`` and ``port`` (0 takes a free one)."""

    def __init__(self, calling: Calling, host: str, port: int) -> None:
        self._calling = calling
        self._failed = FailingHosts()
        self._probe = ProcessProbe(host, port, self._not_ready, self._collectors)
        calling.events.listeners.append(self._count)

    async def start(self) -> None:
        """Listen, and say where. Raises ``InvalidOption`` when the port can't be had."""
        await self._probe.start(self._calling.events)

    async def stop(self) -> None:
        """Close the port."""
        await self._probe.stop()

    def _count(self, event: Event, fields: dict[str, Any]) -> None:
        if event is Event.CALL_FAILED:
            self._failed.note(str(fields["host"]))

    async def _not_ready(self) -> str | None:
        return self._calling.trouble

    def _collectors(self, _: bool) -> Sequence[Collector]:
        from postmill.metrics.call_metrics import CallsCollector  # noqa: PLC0415 - an extra

        calling = self._calling
        return (CallsCollector(lambda: calling.running, calling.caller.answered, self._failed.counts),)
