"""What Prometheus is told of the messages that a worker has parted with."""

from __future__ import annotations

from postmill.metrics.prometheus import TallyCollector, exposition
from postmill.metrics.tally import Tally
from postmill.model.events import Event


def test_events_that_are_one_outcome_are_one_series() -> None:
    """A dead letter, a failed step and a failed run are `dead`. Each had a line of its own with the same
    labels, and Prometheus keeps the first of such lines: failed steps and runs were counted nowhere.
    """
    tally = Tally("shop", "pack", 1, lambda: 0)
    for event in (Event.MESSAGE_DEAD, Event.STEP_FAILED, Event.RUN_FAILED):
        tally.count(event, [])
    lines = exposition([TallyCollector([tally], lambda: True)]).decode().splitlines()
    samples = [line.rpartition(" ") for line in lines if not line.startswith("#")]
    series = [name for name, _, _ in samples]
    assert len(series) == len(set(series))
    dead = 'postmill_messages_settled_total{outcome="dead",queue="shop",worker="pack"}'
    assert [value for name, _, value in samples if name == dead] == ["3.0"]
