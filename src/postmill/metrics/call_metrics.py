"""The figures of calls in Prometheus' text format. Needs ``postmill[prometheus]``; counts nothing itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from prometheus_client.metrics_core import Metric


class CallsCollector(Collector):
    """The calls of one process."""

    def __init__(
        self,
        running: Callable[[], int],
        answered: Mapping[str, int],
        failed: Callable[[], Mapping[str, int]],
    ) -> None:
        """``answered``: attempts by how they ended; ``failed``: those that failed, by host."""
        self._running = running
        self._answered = answered
        self._failed = failed

    def collect(self) -> Iterator[Metric]:
        """The metrics of this moment; see ``docs/reference/metrics.md``."""
        yield GaugeMetricFamily("postmill_calls_running", "Calls that run now.", self._running())
        ended = CounterMetricFamily("postmill_calls", "Attempts at calls that ended.", labels=("outcome",))
        for outcome, count in self._answered.items():
            ended.add_metric((outcome,), count)
        yield ended
        failed = CounterMetricFamily("postmill_calls_failed", "Attempts that failed.", labels=("host",))
        for host, count in self._failed().items():
            failed.add_metric((host,), count)
        yield failed
