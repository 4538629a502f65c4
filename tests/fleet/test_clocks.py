"""Workers whose clock is an hour fast or slow, and a server's that is: only the server's clock rules."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.fleet.account import Account
from tests.fleet.lab import eventually
from tests.servers import MEMORY

if TYPE_CHECKING:
    from tests.fleet.lab import Process
    from tests.fleet.site import Site

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

HOUR_S = 3600.0
DELAY_S = 3
LONGER_THAN_A_LEASE = {"s": 12.0}
LEASE_S = 8


def clock(off: str) -> dict[str, str]:
    """Variables that give a program another time of day, and leave it its timers. A namespace can't: that of
    Linux shifts the monotonic clock and the time since boot only.
    """
    found = sorted(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"))
    if not found:
        pytest.skip("libfaketime is not installed: `make test-deps` brings it")
    return {"LD_PRELOAD": str(found[0]), "FAKETIME": off, "FAKETIME_DONT_FAKE_MONOTONIC": "1"}


def take_back(process: Process) -> None:
    """Remove the shared memory that the library has made: of a process that is killed it stays."""
    for name in ("faketime_shm_{}", "sem.faketime_sem_{}"):
        (MEMORY / name.format(process.parent_pid)).unlink()


def test_clocks_are_an_hour_off(site: Site) -> None:
    """One machine is fast, one slow. Leases are renewed, a delay lasts as long as the server says, and a
    message is not taken from a worker because another one thinks that it is late.
    """
    server, fast, slow = site.server("db"), site.lab.machine("fast"), site.lab.machine("slow")
    server.start()
    ahead = site.run_worker(fast, lease_s=LEASE_S, variables=clock("+1h"))
    behind = site.run_worker(slow, lease_s=LEASE_S, variables=clock("-1h"))
    site.send(server, range(8), LONGER_THAN_A_LEASE)
    eventually(lambda: site.began_on("fast") and site.began_on("slow"))
    site.send(server, range(8, 20), delay_s=DELAY_S)
    site.finish(server)
    for each in (ahead, behind):
        take_back(each)
    assert site.account(server) == Account(finished=20)
    assert site.done() == dict.fromkeys(range(20), 1)
    assert site.failures(server) == {}
    early = "select count(*) from pgmq.a_tasks where archived_at < enqueued_at + $1 * interval '1 s'"
    assert server.ask(f"{early} and (message->>'id')::bigint >= 8", DELAY_S) == 0
    off_s = {call.host: call.time_s - (site.folder / "journal").stat().st_mtime for call in site.calls}
    assert off_s["fast"] > HOUR_S / 2
    assert off_s["slow"] < -HOUR_S / 2
