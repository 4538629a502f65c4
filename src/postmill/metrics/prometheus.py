"""Tallies in Prometheus' text format. Needs ``postmill[prometheus]``; counts nothing itself."""

from __future__ import annotations

from itertools import accumulate
from typing import TYPE_CHECKING, Any

from prometheus_client import GC_COLLECTOR, PLATFORM_COLLECTOR, PROCESS_COLLECTOR, CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.registry import Collector

from postmill.metrics.tally import BOUNDS_S, OUTCOMES
from postmill.model.events import Event

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from prometheus_client.metrics_core import Metric

    from postmill.metrics.tally import Tally

LABELS = ("queue", "worker")
CONTENT_TYPE = CONTENT_TYPE_LATEST


class TallyCollector(Collector):
    """Tallies as a collector: register it where your own metrics are, or let :func:`exposition` print it."""

    def __init__(
        self, tallies: Sequence[Tally], is_ready: Callable[[], bool], process: Tally | None = None
    ) -> None:
        """``process``: what is reported for the whole process, and for no single worker."""
        self._tallies = tallies
        self._with_process = tallies if process is None else (*tallies, process)
        self._is_ready = is_ready

    def collect(self) -> Iterator[Metric]:
        """The metrics of this moment; see ``docs/reference/metrics.md``."""
        yield GaugeMetricFamily(
            "postmill_ready", "1 while the workers are announced and the database answers.", self._is_ready()
        )
        yield from (self._claimed(), self._settled(), self._durations(), self._events())
        yield self._gauge(
            "postmill_messages_running", "Messages that run now.", lambda tally: tally.running()
        )
        yield self._gauge("postmill_slots", "Messages that may run at once.", lambda tally: tally.slots)

    def _claimed(self) -> Metric:
        family = CounterMetricFamily("postmill_messages_claimed", "Messages claimed.", labels=LABELS)
        for tally in self._tallies:
            family.add_metric((tally.queue, tally.worker), tally.events[Event.MESSAGE_CLAIMED])
        return family

    def _settled(self) -> Metric:
        family = CounterMetricFamily(
            "postmill_messages_settled", "Messages parted with, by outcome.", labels=(*LABELS, "outcome")
        )
        for tally in self._tallies:
            for outcome, count in tally.outcomes().items():
                family.add_metric((tally.queue, tally.worker, outcome), count)
        return family

    def _durations(self) -> Metric:
        family = HistogramMetricFamily(
            "postmill_attempt_duration_seconds",
            "From the start of a handler to its written outcome.",
            labels=LABELS,
        )
        names = [*(str(float(bound)) for bound in BOUNDS_S), "+Inf"]
        for tally in self._tallies:
            buckets = list(zip(names, accumulate(tally.durations), strict=True))
            family.add_metric((tally.queue, tally.worker), buckets, tally.total_s)
        return family

    def _events(self) -> Metric:
        family = CounterMetricFamily(
            "postmill_events", "Everything else that workers report.", labels=(*LABELS, "event")
        )
        for tally in self._with_process:
            for event in Event:
                if event not in OUTCOMES and event != Event.MESSAGE_CLAIMED:
                    family.add_metric((tally.queue, tally.worker, event.value), tally.events[event])
        return family

    def _gauge(self, name: str, text: str, value: Callable[[Tally], float]) -> Metric:
        family = GaugeMetricFamily(name, text, labels=LABELS)
        for tally in self._tallies:
            family.add_metric((tally.queue, tally.worker), value(tally))
        return family


WAITING = {
    "postmill_queue_waiting": ("waiting", "Messages that wait for others or for a place in their group."),
    "postmill_queue_oldest_waiting_seconds": (
        "oldest_waiting_s",
        "How long ago the first waiting message could have run.",
    ),
    "postmill_queue_groups_at_limit": ("groups_at_limit", "Groups whose messages wait for a limit."),
    "postmill_queue_dependents_stuck": (
        "dependents_stuck",
        "Messages that wait for others which are dead or gone.",
    ),
    "postmill_queue_desired_workers": (
        "desired_workers",
        "Workers that the queue wants now: take the maximum, not the sum.",
    ),
}
"""Each metric of a queue with its column of the statement ``waiting_figures``, and its help."""


class WaitingCollector(Collector):
    """What waits in each queue, as it was read last. Every process that works on a queue says the same."""

    def __init__(self, by_queue: Mapping[str, Mapping[str, float | None]]) -> None:
        self._by_queue = by_queue

    def collect(self) -> Iterator[Metric]:
        """The metrics; see ``docs/reference/metrics.md``."""
        for name, (column, text) in WAITING.items():
            family = GaugeMetricFamily(name, text, labels=("queue",))
            for queue, figures in self._by_queue.items():
                family.add_metric((queue,), figures[column] or 0)
            yield family


SCHEDULES = {
    "postmill_schedules_late": ("late", "Schedules whose tick passed a minute ago and has not fired."),
    "postmill_schedules_failing": ("failing", "Schedules whose last run failed."),
    "postmill_schedules_next_tick_seconds": ("next_tick_s", "Seconds until the next tick of any schedule."),
}
"""Each metric of the schedules with its column of the statement ``schedule_figures``, and its help."""


class SchedulesCollector(Collector):
    """The schedules of the database, as they were read last. Every process says the same."""

    def __init__(self, figures: Mapping[str, Any] | None) -> None:
        self._figures = figures

    def collect(self) -> Iterator[Metric]:
        """The metrics; see ``docs/reference/metrics.md``."""
        if self._figures is None:
            return
        family = GaugeMetricFamily("postmill_schedules", "Schedules.", labels=("state",))
        for state in ("active", "paused", "broken"):
            family.add_metric((state,), self._figures[state] or 0)
        yield family
        failing = GaugeMetricFamily(
            "postmill_schedule_failing", "1 for a schedule whose last run failed.", labels=("schedule",)
        )
        for name in self._figures["failing_names"] or ():
            failing.add_metric((name,), 1)
        yield failing
        for name, (column, text) in SCHEDULES.items():
            if (value := self._figures[column]) is not None:
                yield GaugeMetricFamily(name, text, value)


def exposition(collectors: Iterable[Collector]) -> bytes:
    """What a scrape returns: ``collectors``, and what prometheus-client knows of the process."""
    registry = CollectorRegistry()
    for collector in (*collectors, PROCESS_COLLECTOR, PLATFORM_COLLECTOR, GC_COLLECTOR):
        registry.register(collector)
    return generate_latest(registry)
