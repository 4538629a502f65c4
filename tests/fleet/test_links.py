"""Machines that vanish, are cut off, or hear and are not heard.

A closed connection tells its other end; a cable that is pulled tells nobody.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.fleet.account import Account
from tests.fleet.lab import eventually

if TYPE_CHECKING:
    from tests.fleet.lab import Machine
    from tests.fleet.site import Site

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

HELD = 0
"""The message whose handler outlasts the fault on the machine that is cut off."""


def test_a_machine_vanishes_and_its_work_is_done_elsewhere(site: Site) -> None:
    """It loses its power while it runs messages, and the server is told nothing: its lock stays held, and its
    messages come back because it is silent.
    """
    server, one, two = site.server("db"), site.lab.machine("one"), site.lab.machine("two")
    server.start()
    site.run_worker(one)
    site.send(server, range(20), {"s": 0.2})
    eventually(lambda: len(site.began_on("one")) >= 4)
    one.power_off()
    site.run_worker(two)
    site.finish(server)
    assert site.account(server) == Account(finished=20)
    assert site.failures(server).keys() <= {"lost_lease"}


def unplugged(one: Machine, _: Machine) -> None:
    one.unplug()


def plugged_in(one: Machine, _: Machine) -> None:
    one.plug_in()


def not_heard(one: Machine, server: Machine) -> None:
    one.cut(server)


def heard(one: Machine, server: Machine) -> None:
    one.heal(server)


def hears_nothing(one: Machine, server: Machine) -> None:
    server.cut(one)


def hears(one: Machine, server: Machine) -> None:
    server.heal(one)


@pytest.mark.parametrize(
    ("cut", "heal"),
    [
        pytest.param(unplugged, plugged_in, id="partition"),
        pytest.param(not_heard, heard, id="it is not heard"),
        pytest.param(hears_nothing, hears, id="it hears nothing"),
    ],
)
def test_a_machine_is_cut_off_and_comes_back(site: Site, cut: object, heal: object) -> None:
    """Its handlers run on meanwhile. What they end with counts no more: another machine has done it."""
    assert callable(cut)
    assert callable(heal)
    server, one, two = site.server("db"), site.lab.machine("one"), site.lab.machine("two")
    gate = site.folder / "gate"
    server.start()
    site.run_worker(one, lease_s=3)
    site.send(server, range(HELD, 1), {"held_on": "one", "until": str(gate)})
    eventually(lambda: site.began_on("one") == {HELD})
    cut(one, server.machine)
    site.run_worker(two, lease_s=3)
    site.send(server, range(1, 20))
    site.finish(server)
    assert site.done().keys() == set(range(20))
    gate.touch()
    eventually(lambda: site.done()[HELD] >= 2)
    heal(one, server.machine)
    two.power_off()
    site.send(server, range(20, 40))
    site.finish(server)
    assert site.account(server) == Account(finished=40)
    assert site.began_on("one") >= set(range(20, 40))
    assert site.failures(server).keys() <= {"lost_lease"}
