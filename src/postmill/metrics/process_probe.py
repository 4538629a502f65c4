"""What monitoring can ask of one process, whatever it does: whether it lives, whether it is ready, and its
metrics. What these say is the owner's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from postmill.metrics.probe import METHODS, Answer, Probe
from postmill.model.events import Event
from postmill.web.routes import Route

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Sequence

    from prometheus_client.registry import Collector

    from postmill.metrics.probe import Ask
    from postmill.service.events import Events

MISSING = b"prometheus-client is not installed: pip install 'postmill[prometheus]'\n"


class ProcessProbe:
    """The probe of one process, on ``host`` and ``port`` (0 takes a free one)."""

    def __init__(
        self,
        host: str,
        port: int,
        not_ready: Callable[[], Awaitable[str | None]],
        collectors: Callable[[bool], Iterable[Collector]],
    ) -> None:
        """``not_ready``: why nothing should be sent here; None when it should. ``collectors``: what a scrape
        shows, given whether the process is ready; called where prometheus-client is installed only.
        """
        self._not_ready = not_ready
        self._collectors = collectors
        self._probe = Probe(host, port, self.routes)

    @property
    def routes(self) -> Sequence[Route[Ask]]:
        """All that there is to be asked for."""
        return (
            Route(METHODS, "/live", self._live),
            Route(METHODS, "/ready", self._ready),
            Route(METHODS, "/metrics", self._metrics),
        )

    async def start(self, events: Events) -> None:
        """Listen, and say where. Raises ``InvalidOption`` when the port can't be had."""
        events.emit(Event.PROBE_LISTENING, url=await self._probe.start())

    async def stop(self) -> None:
        """Close the port."""
        await self._probe.stop()

    async def _live(self) -> Answer:
        return Answer(200, b"live\n")  # the answer itself is the proof

    async def _ready(self) -> Answer:
        reason = await self._not_ready()
        return Answer(200, b"ready\n") if reason is None else Answer(503, f"{reason}\n".encode())

    async def _metrics(self) -> Answer:
        try:
            from postmill.metrics import prometheus  # noqa: PLC0415 - an extra
        except ImportError:
            return Answer(501, MISSING)
        collectors = self._collectors(await self._not_ready() is None)
        return Answer(200, prometheus.exposition(collectors), prometheus.CONTENT_TYPE)
