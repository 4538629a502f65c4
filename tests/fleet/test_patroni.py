"""Patroni changes the leader under load, with synchronous replication: no acknowledged message is lost."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.fleet import patroni
from tests.fleet.account import Account
from tests.fleet.lab import eventually
from tests.fleet.patroni import Cluster

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.fleet.patroni import Node
    from tests.fleet.site import Site

pytestmark = pytest.mark.slow


SENT_BETWEEN = 50
"""Messages that are acknowledged between two changes: that the application can send again is seen by them."""


def sends_on(site: Site) -> None:
    """Wait until the application has sent some more."""
    known = len(site.notes.sent)
    eventually(lambda: len(site.notes.sent) >= known + SENT_BETWEEN)


def asked(cluster: Cluster, leader: Node) -> Node:
    """An operator asks for it."""
    cluster.switch_over(leader)
    return cluster.led(cluster.other(leader))


def power(cluster: Cluster, leader: Node) -> Node:
    """The leader's machine loses its power, and is switched on when the other one leads."""
    other = cluster.other(leader)
    leader.machine.power_off()
    cluster.lead_passes_to(other)
    leader.machine.power_on()
    leader.start()
    return cluster.led(other)


def cable(cluster: Cluster, leader: Node) -> Node:
    """The leader's cable is pulled, and plugged in when the other one leads."""
    other = cluster.other(leader)
    leader.machine.unplug()
    cluster.lead_passes_to(other)
    leader.machine.plug_in()
    return cluster.led(other)


@pytest.mark.timeout(900)
@pytest.mark.parametrize(
    "changes",
    [
        pytest.param([asked, power, cable], id="three"),
        pytest.param(
            [asked, asked, power, asked, cable, asked, asked, power, cable, asked],
            id="ten",
            marks=pytest.mark.exhaustive,
        ),
    ],
)
def test_nothing_is_lost_when_the_leader_changes(
    site: Site, changes: list[Callable[[Cluster, Node], Node]]
) -> None:
    """Each change comes while an application sends and two machines work, and the next one when the cluster
    is whole again.
    """
    if reason := patroni.missing():
        pytest.skip(reason)
    cluster = Cluster(site.lab, site.folder)
    leader = cluster.start()
    site.servers.extend(cluster.nodes)
    application, one, two = (site.lab.machine(name) for name in ("application", "one", "two"))
    site.run_worker(one)
    site.run_worker(two)
    sender = site.run_sender(application)
    for change in changes:
        sends_on(site)
        leader = change(cluster, leader)
    sends_on(site)
    assert sender.end() == 0
    site.finish(leader)
    account = site.account(leader)
    assert account == Account(finished=account.finished)
    assert account.finished >= len(site.notes.sent) >= SENT_BETWEEN * (len(changes) + 1)
