"""The figures of queues in Prometheus' text format, as the database has them. Needs ``postmill[prometheus]``;
counts nothing itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from prometheus_client import CollectorRegistry
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.exposition import generate_latest
from prometheus_client.registry import Collector

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from prometheus_client.metrics_core import Metric

STATES = ("ready", "running", "retrying", "scheduled", "waiting", "dead")
GAUGES = {
    "postmill_queue_oldest_ready_seconds": (
        "oldest_ready_s",
        "How long the oldest ready message has waited.",
    ),
    "postmill_queue_oldest_waiting_seconds": (
        "oldest_waiting_s",
        "How long ago the first waiting message could have run.",
    ),
    "postmill_queue_workers": ("workers", "Workers that are alive."),
    "postmill_queue_desired_workers": ("desired_workers", "Workers that the queue wants now."),
}
"""Each metric with its column of the statement ``read_queue_metrics``, and its help."""
DATABASE_UP = "1 for each of several databases whose figures are here, 0 for one that is left out."


class QueuesCollector(Collector):
    """Rows of the statement ``read_queue_metrics``."""

    def __init__(self, queues: Sequence[Mapping[str, Any]], is_up: Mapping[str, bool]) -> None:
        """``is_up``: which of several databases have answered; empty: there is one."""
        self._queues = queues
        self._is_up = is_up

    def collect(self) -> Iterator[Metric]:
        """The metrics; see ``docs/reference/metrics.md``."""
        messages = GaugeMetricFamily("postmill_queue_messages", "Messages.", labels=("queue", "state"))
        for queue in self._queues:
            for state in STATES:
                messages.add_metric((queue["queue"], state), queue[state])
        yield messages
        for name, (column, text) in GAUGES.items():
            family = GaugeMetricFamily(name, text, labels=("queue",))
            for queue in self._queues:
                family.add_metric((queue["queue"],), queue[column])
            yield family
        if self._is_up:
            up = GaugeMetricFamily("postmill_database_up", DATABASE_UP, labels=("database",))
            for database, is_up in self._is_up.items():
                up.add_metric((database,), is_up)
            yield up


def exposition(queues: Sequence[Mapping[str, Any]], is_up: Mapping[str, bool]) -> bytes:
    """What a scrape would return; see :class:`QueuesCollector`."""
    registry = CollectorRegistry()
    registry.register(QueuesCollector(queues, is_up))
    return generate_latest(registry)
