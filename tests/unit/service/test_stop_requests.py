from __future__ import annotations

from postmill.service.stop_requests import ECHO_S, StopRequests


def test_two_signals_at_once_are_one_request_and_later_ones_are_others() -> None:
    """GNU `timeout` sends two, and the second one forced the end: what ran was cut."""
    now, asked = [100.0], []
    requests = StopRequests(lambda: asked.append(now[0]), clock=lambda: now[0])
    for at in (100.0, 100.0, 100.0 + ECHO_S / 2, 100.0 + ECHO_S, 100.0 + ECHO_S * 1.5, 200.0):
        now[0] = at
        requests.hear()
    assert asked == [100.0, 100.0 + ECHO_S, 200.0]
