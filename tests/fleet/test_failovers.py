"""A standby takes over from a server whose machine is gone, and it lags behind when that happens."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

import pytest

from tests.fleet.account import Account
from tests.fleet.lab import eventually

if TYPE_CHECKING:
    from tests.fleet.site import Site

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

IN_THE_LAG = 2_000_000
AFTERWARDS = 3_000_000
"""The first numbers of the messages that are sent while the standby lags, and from the failure on."""

_WAITS_FOR_THE_STANDBY = """
select exists (select from pg_stat_activity
 where wait_event = 'SyncRep' and application_name like 'postmill%')
"""
_FIRST_SENT = """
select min(enqueued_at) from (select message, enqueued_at from pgmq.q_tasks
 union all select message, enqueued_at from pgmq.a_tasks) as sent where (message->>'id')::bigint >= $1
"""


@pytest.mark.parametrize("synchronous", [False, True], ids=["asynchronous", "synchronous"])
def test_a_standby_that_lags_takes_over(site: Site, synchronous: bool) -> None:
    """The network between the two servers is cut first, so that the standby stays behind, then the primary's
    machine loses its power under load.

    An asynchronous standby does not have what was committed in between: exactly that is lost, and the time up
    to which the standby has everything tells so. With a synchronous one nothing is acknowledged meanwhile, so
    nothing that was is lost.
    """
    primary, standby = site.server("db1"), site.server("db2")
    application, one, two = (site.lab.machine(name) for name in ("application", "one", "two"))
    primary.start(synchronous_standby_names="*" if synchronous else "", synchronous_commit="on")
    standby.follow(primary)
    site.run_worker(one)
    site.run_worker(two)
    before = site.run_sender(application)
    eventually(lambda: site.began_on("one") and site.began_on("two"))
    assert before.end() == 0
    site.finish(primary)
    reached = primary.ask("select pg_current_wal_lsn()::text")
    eventually(lambda: standby.ask("select pg_last_wal_replay_lsn() >= $1::pg_lsn", reached))

    primary.machine.cut(standby.machine)
    lagging = site.run_sender(application, first=IN_THE_LAG)
    if synchronous:
        eventually(lambda: primary.ask(_WAITS_FOR_THE_STANDBY))
    else:
        eventually(lambda: sum(number >= IN_THE_LAG for number in site.done()) >= 20)
    lagging.end(signal.SIGKILL)
    in_the_lag = frozenset(number for number in site.notes.sent if number >= IN_THE_LAG)
    first_lost = None if synchronous else primary.ask(_FIRST_SENT, IN_THE_LAG)
    primary.machine.power_off()

    after = site.run_sender(application, first=AFTERWARDS)
    standby.promote()
    eventually(lambda: sum(number >= AFTERWARDS for number in site.notes.sent) >= 50)
    assert after.end() == 0
    site.finish(standby)
    account = site.account(standby)
    assert account == Account(finished=account.finished, lost=in_the_lag)
    assert bool(in_the_lag) is not synchronous
    if first_lost is not None:
        assert standby.ask("select pg_last_xact_replay_timestamp()") < first_lost
