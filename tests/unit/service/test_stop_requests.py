from __future__ import annotations

import signal

import pytest

from postmill.service.stop_requests import ECHO_S, StopRequests, listeners


def test_two_signals_at_once_are_one_request_and_later_ones_are_others() -> None:
    """GNU `timeout` sends two, and the second one forced the end: what ran was cut."""
    now, asked = [100.0], []
    requests = StopRequests(lambda: asked.append(now[0]), clock=lambda: now[0])
    for at in (100.0, 100.0, 100.0 + ECHO_S / 2, 100.0 + ECHO_S, 100.0 + ECHO_S * 1.5, 200.0):
        now[0] = at
        requests.hear()
    assert asked == [100.0, 100.0 + ECHO_S, 200.0]


def test_sighup_asks_once_and_never_forces() -> None:
    asked: list[str] = []
    listeners(lambda: asked.append("drain"), lambda: bool(asked))[signal.SIGHUP]()
    listeners(lambda: asked.append("force"), lambda: bool(asked))[signal.SIGHUP]()
    assert asked == ["drain"]


@pytest.mark.parametrize("action", [signal.SIG_IGN, lambda *_: None])
def test_sighup_is_left_alone_where_it_does_not_kill(action: signal.Handlers) -> None:
    before = signal.signal(signal.SIGHUP, action)
    try:
        assert set(listeners(print, bool)) == {signal.SIGINT, signal.SIGTERM}
    finally:
        signal.signal(signal.SIGHUP, before)
