"""When an event loop counts as blocked: by rounds that the host itself was awake for."""

from __future__ import annotations

from postmill.host.instance.activity import BLOCKED_S, SAY_AGAIN_S, Pulse

TICK_S = 0.1


class Isolate:
    """Counts what it is asked."""

    def __init__(self) -> None:
        self.asked = 0
        self.pulse = Pulse(self.ask)

    def ask(self) -> None:
        self.asked += 1

    def rounds(self, seconds: float, *, busy: bool = True) -> int:
        """Let time pass; how often it was to be said that the loop hangs."""
        return sum(self.pulse.round(TICK_S, busy=busy) for _ in range(round(seconds / TICK_S)))


def test_an_idle_isolate_is_left_alone() -> None:
    isolate = Isolate()
    assert isolate.rounds(60, busy=False) == 0
    assert isolate.asked == 0


def test_one_that_answers_is_not_blocked() -> None:
    isolate = Isolate()
    for _ in range(20):
        assert isolate.rounds(0.6) == 0
        assert isolate.pulse.answered() is False
    assert isolate.asked == 20


def test_one_that_does_not_is_told_of_once() -> None:
    isolate = Isolate()
    assert isolate.rounds(5) == 1
    assert isolate.pulse.is_blocked
    assert isolate.pulse.answered() is True
    assert not isolate.pulse.is_blocked


def test_one_that_hangs_at_each_request_is_told_of_now_and_then() -> None:
    isolate = Isolate()
    said = 0
    for _ in range(20):
        said += isolate.rounds(2)
        isolate.pulse.answered()
    assert said == 40 / SAY_AGAIN_S


def test_a_host_that_was_halted_blames_no_isolate() -> None:
    """One round of a minute: the answer may lie unread in the socket."""
    isolate = Isolate()
    isolate.rounds(0.6)
    isolate.pulse.round(60.0, busy=True)
    assert isolate.pulse.blocked_s < BLOCKED_S
