"""Several processes, and a server that changes: what a fleet costs and how soon it is back.

``python -m benchmarks.fleet [--json] [--only processes,promotion,idle]``. Prints:

* ``processes``: messages a second that ``postmill worker run --processes 4`` drains, and ``--processes 1``,
  in turns on one server, medians; with a handler that does nothing, and with one that computes for half a
  millisecond;
* ``promotion``: seconds from the promotion of a standby until a message that was sent to it at once is
  finished, by a worker that was connected to the old server. ``switched``: the old one was stopped, as for
  maintenance; ``vanished``: its machine was gone without a word ten seconds before, as when a lock of
  Patroni's runs out;
* ``idle``: statements a second of twenty worker processes that have nothing to do.

``promotion`` makes machines of network namespaces (``tests/fleet``), so it needs root.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from statistics import median, quantiles
from typing import TYPE_CHECKING, Any

import psycopg

from benchmarks.many_workers import RESTING, SETTINGS, Bench
from postmill.client import Client
from postmill.db.tools.connect import connect
from postmill.db.tools.migrate import migrate
from postmill.embedded import open_server
from postmill.model.config.address import parse
from tests import servers
from tests.fleet import lab as labs
from tests.fleet.postgres import prepare
from tests.fleet.site import Site

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.fleet.postgres import Prepared, Server

MANY = 4
TURNS = 9
MESSAGES = {"nothing": 40_000, "computing": 1_000}
"""A burst for each handler: about half a second's work."""
SWITCHES, DEATHS = 20, 3
"""A death takes half a minute, a switch four seconds."""
SILENCE_S = 10.0
FINISHED = "select exists (select from pgmq.a_tasks where (message->>'id')::bigint = $1)"
IDLE_WORKERS = 20


class Processes:
    """One process beside four, on one server: each has a queue, and they take turns."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._db = psycopg.connect(url, autocommit=True)
        for count in (1, MANY):
            self._db.execute(f"select postmill.create_queue('{queue_of(count)}')")

    def compare(self, handler: str) -> dict[str, float]:
        """Rates of both, and the four's as a multiple of the one's."""
        rates: dict[int, list[float]] = {1: [], MANY: []}
        with self._running(1, handler), self._running(MANY, handler):
            for turn in range(TURNS):
                for count in sorted(rates, reverse=bool(turn % 2)):
                    self._until(RESTING, 1 + MANY)
                    rates[count].append(self._burst(queue_of(count), MESSAGES[handler]))
                print(
                    f"{handler}: " + ", ".join(f"{each[-1]:,.0f}" for each in rates.values()), file=sys.stderr
                )
        one, many = median(rates[1]), median(rates[MANY])
        return {"one_per_s": round(one), "four_per_s": round(many), "ratio": round(many / one, 2)}

    @contextmanager
    def _running(self, count: int, handler: str) -> Iterator[None]:
        command = [sys.executable, "-m", "postmill.cli.main", "worker", "run", f"benchmarks.no_op:{handler}"]
        environment = {
            **os.environ,
            "POSTMILL_DB_URL": self._url,
            "POSTMILL_LOG_LEVEL": "error",
            "BENCHMARK_QUEUE": queue_of(count),
        }
        parent = subprocess.Popen([*command, "--processes", str(count)], env=environment)
        try:
            yield
        finally:
            parent.terminate()
            parent.wait()

    def _burst(self, queue: str, messages: int) -> float:
        with Client(self._url) as client:
            client.send_many(queue, range(messages))
        began = time.perf_counter()
        self._until(f"select count(*) from (select from pgmq.q_{queue} limit 1) as one".encode(), 0)
        return messages / (time.perf_counter() - began)

    def _until(self, query: bytes, value: int) -> None:
        while True:
            row = self._db.execute(query).fetchone()
            if row is not None and row[0] == value:
                return
            time.sleep(0.005)


def queue_of(count: int) -> str:
    """The queue of so many processes."""
    return f"fleet_{count}"


@contextmanager
def site(prepared: Prepared) -> Iterator[Site]:
    """Machines for one measurement."""
    with (
        tempfile.TemporaryDirectory(prefix="postmill-fleet-", dir=servers.place()) as folder,
        labs.Lab(Path(folder)) as lab,
    ):
        yield Site(lab, prepared, Path(folder))


def pair(made: Site) -> tuple[Server, Server]:
    """A server, a standby that follows it, and a worker that is at rest on a machine of its own."""
    primary, standby = made.server("db1"), made.server("db2")
    primary.start()
    standby.follow(primary)
    made.run_worker(made.lab.machine("worker"))
    labs.eventually(lambda: primary.ask(RESTING.decode()) == 1)
    return primary, standby


def recovery_s(made: Site, standby: Server, number: int) -> float:
    """Promote it and send a message at once: how long until it is finished."""
    standby.promote()
    began = time.perf_counter()
    made.send(standby, range(number, number + 1))
    while not standby.ask(FINISHED, number):
        time.sleep(0.005)
    return time.perf_counter() - began


def switched(prepared: Prepared) -> list[float]:
    """The two servers change places, again and again."""
    found = []
    with site(prepared) as made:
        primary, standby = pair(made)
        for number in range(SWITCHES):
            primary.stop(signal.SIGINT)
            found.append(recovery_s(made, standby, number))
            print(f"switched: {found[-1]:.3f} s", file=sys.stderr)
            primary.follow(standby)
            primary, standby = standby, primary
    return found


def vanished(prepared: Prepared) -> list[float]:
    """The primary's machine loses its power, and the standby takes over when it has been silent."""
    found = []
    for number in range(DEATHS):
        with site(prepared) as made:
            primary, standby = pair(made)
            primary.machine.power_off()
            time.sleep(SILENCE_S)
            found.append(recovery_s(made, standby, number))
            print(f"vanished: {found[-1]:.3f} s", file=sys.stderr)
    return found


def promotion() -> dict[str, Any]:
    """Both, or why they can't be measured here."""
    if reason := labs.missing():
        return {"not_measured": reason}
    with tempfile.TemporaryDirectory(prefix="postmill-fleet-", dir=servers.place()) as folder:
        with labs.Lab(Path(folder)) as lab:
            prepared = prepare(servers.binaries_of(18), Path(folder), lab.machine("prepare"))
        return {"switched": spread(switched(prepared)), "vanished": spread(vanished(prepared))}


def spread(found: list[float]) -> dict[str, float]:
    """The middle and the upper end of what was measured."""
    return {
        "times": len(found),
        "p50_s": round(median(found), 3),
        "p95_s": round(quantiles(found, n=20, method="inclusive")[-1], 3),
    }


def on_embedded(part: str) -> dict[str, Any]:
    """A part that needs one server only, on a durable embedded one."""
    with tempfile.TemporaryDirectory(prefix="postmill-fleet-", ignore_cleanup_errors=True) as folder:
        Path(folder).chmod(0o711)
        with open_server(Path(folder) / "server", settings=SETTINGS) as server:
            with connect(parse(server.url)) as connection:
                migrate(connection)
            bench = Bench(server, IDLE_WORKERS)
            if part == "idle":
                return {"workers": IDLE_WORKERS, **bench.idle()}
            processes = Processes(server.url)
            return {handler: processes.compare(handler) for handler in MESSAGES}


def main() -> None:
    """Measure what is asked for, and print it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--json", action="store_true", help="one JSON object")
    parser.add_argument("--only", default="processes,promotion,idle", help="which parts, with commas")
    given = parser.parse_args()
    found: dict[str, Any] = {"bench": "fleet", "cores": os.cpu_count()}
    for part in given.only.split(","):
        found[part] = promotion() if part == "promotion" else on_embedded(part)
    if given.json:
        print(json.dumps(found, indent=2))
        return
    for part, figures in found.items():
        print(f"{part:10} {figures}")


if __name__ == "__main__":
    main()
