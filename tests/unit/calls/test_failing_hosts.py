"""Failed calls are counted for a bounded number of hosts, those that fail most, and none is counted twice."""

from __future__ import annotations

from random import Random

from postmill.calls.failing_hosts import OTHERS, FailingHosts


def test_hosts_without_end_are_one() -> None:
    """A role may call a new host each time, and each was a series for Prometheus."""
    hosts = FailingHosts(most=3)
    for number in range(1000):
        hosts.note(f"https://{number}")
    assert hosts.counts() == {"https://0": 1, "https://1": 1, "https://2": 1, OTHERS: 997}
    assert len(vars(hosts)["_ranks"]) <= 2 * 3


def test_a_host_that_fails_often_is_named_whatever_was_there_before_it() -> None:
    hosts = FailingHosts(most=3)
    for number in range(50):
        hosts.note(f"https://{number}")
    for number in range(300):
        hosts.note("https://down")
        hosts.note(f"https://new-{number}")
    named = hosts.counts()
    assert named["https://down"] > 290
    assert sum(named.values()) == 650
    assert len(named) == 3 + 1


def test_no_count_ever_falls_and_together_they_are_all() -> None:
    """Prometheus takes a counter that falls for one that began again, and adds all of it once more."""
    hosts, random = FailingHosts(most=5), Random(7)
    seen: dict[str, int] = {}
    for number in range(1, 5001):
        hosts.note(f"https://{int(random.expovariate(0.1))}")
        now = hosts.counts()
        assert sum(now.values()) == number
        assert all(count >= seen[host] for host, count in now.items() if host in seen)
        seen = now
    assert {"https://0", "https://1"} <= seen.keys()
