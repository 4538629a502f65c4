"""Machines that are switched off and on, one after the other or at once, and a server that is put back."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

import pytest

from tests.fleet.account import Account
from tests.fleet.lab import eventually

if TYPE_CHECKING:
    from tests.fleet.lab import Machine
    from tests.fleet.site import Site

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


def works_again(site: Site, machine: Machine) -> None:
    """Wait until a machine has begun another message."""
    before = len(site.began_on(machine.name))
    eventually(lambda: len(site.began_on(machine.name)) > before)


def test_every_machine_restarts_under_load(site: Site) -> None:
    """First a worker's, then the server's: both lose their power, and an application sends all the time."""
    server = site.server("db")
    application, one, two = (site.lab.machine(name) for name in ("application", "one", "two"))
    server.start()
    site.run_worker(one)
    site.run_worker(two)
    sender = site.run_sender(application)
    eventually(lambda: site.began_on("one") and site.began_on("two"))
    site.restart_worker(one)
    server.machine.power_off()
    server.machine.power_on()
    server.start()
    known = len(site.notes.sent)
    eventually(lambda: len(site.notes.sent) >= known + 50)
    assert sender.end() == 0
    site.finish(server)
    account = site.account(server)
    assert account == Account(finished=account.finished)
    assert account.finished >= len(site.notes.sent)


def test_a_new_version_is_rolled_out_machine_by_machine(site: Site) -> None:
    """Each machine's worker is asked to drain, ends, and is started anew, while messages come all the time:
    none fails, and none runs twice.
    """
    server = site.server("db")
    application, *machines = (site.lab.machine(name) for name in ("application", "one", "two"))
    server.start()
    workers = {machine: site.run_worker(machine) for machine in machines}
    sender = site.run_sender(application)
    for machine in machines:
        works_again(site, machine)
    for machine in machines:
        site.drain(server, machine)
        assert workers[machine].wait() == 0
        workers[machine] = site.run_worker(machine)
        works_again(site, machine)
    assert sender.end() == 0
    site.finish(server)
    assert site.account(server) == Account(finished=len(site.notes.sent))
    assert site.done() == dict.fromkeys(site.notes.sent, 1)
    assert site.failures(server) == {}


def test_a_backup_is_restored_under_running_workers(site: Site) -> None:
    """What was sent after it is gone, and nothing else is; what was finished after it is done again. A worker
    that has an outcome of the lost time settles nothing with it, though messages of today have the same ids.
    """
    server, one, two = site.server("db"), site.lab.machine("one"), site.lab.machine("two")
    gate = site.folder / "gate"
    server.start()
    server.ask("select postmill.pause('tasks')")
    site.send(server, range(40))
    server.save()
    site.run_worker(one)
    server.ask("select postmill.resume('tasks')")
    eventually(lambda: site.done().keys() == set(range(40)))
    site.send(server, range(40, 44), {"held_on": "one", "until": str(gate)})
    eventually(lambda: site.began_on("one") == set(range(44)))
    server.stop(signal.SIGQUIT)
    gate.touch()
    eventually(lambda: site.done().keys() == set(range(44)))
    server.restore()
    server.ask("select postmill.resume('tasks')")
    site.run_worker(two)
    site.send(server, range(44, 60))
    site.finish(server)
    assert site.account(server) == Account(finished=56, lost=frozenset(range(40, 44)))
    assert all(site.done()[number] == 2 for number in range(40))
