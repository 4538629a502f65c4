"""Many worker processes on one queue: their cost while idle, what their claims find, what they do together.

``python -m benchmarks.many_workers [--workers 20]``, on an embedded server of its own (Linux: processor times
come from /proc). Prints one JSON object:

* ``idle``: statements a second of all workers, their processor time and the server's as shares of one core;
* ``single``: four senders send messages one by one: claims, and the share of them that found nothing;
* ``enqueue``: seconds of a bulk send while all of them listen and while none does, medians of five;
* ``backlog``: messages a second from the commit of a bulk send on, of one worker and of all, medians of
  five, and the processor time a message with its sending, in microseconds.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

import psycopg

from postmill.client import Client
from postmill.db.tools.connect import connect
from postmill.db.tools.migrate import migrate
from postmill.embedded import open_server
from postmill.model.config.address import parse

if TYPE_CHECKING:
    from collections.abc import Iterator

    from postmill.embedded import Server

QUEUE = "many"
SETTINGS = {"max_connections": "300", "shared_preload_libraries": "pg_stat_statements"}
BACKLOG = 100_000
ROUNDS = 5
BULK = 100_000
SENDERS, EACH = 4, 500
IDLE_S = 20.0
TICKS_A_SECOND = os.sysconf("SC_CLK_TCK")
STATEMENTS = b"select sum(calls)::bigint from pg_stat_statements where query not like '%pg_stat_statements%'"
CLAIMS = b"select sum(calls)::bigint from pg_stat_statements where query like '%into postmill.claims%'"
WRITTEN_CLAIMS = b"select last_value from pg_sequences where sequencename like 'claims%'"
LEFT = b"select count(*) from (select from pgmq.q_many limit 1) as one"
RESTING = b"select count(*) from postmill.idle_workers"


class Bench:
    """The measurements, one after the other."""

    def __init__(self, server: Server, workers: int) -> None:
        self._server = server
        self._workers = workers
        self._db = psycopg.connect(server.url, autocommit=True)
        self._db.execute(b"create extension pg_stat_statements")
        self._db.execute(b"select postmill.create_queue('many')")

    def run(self) -> dict[str, Any]:
        """All of them."""
        found: dict[str, Any] = {"workers": self._workers, "bulk": BULK, "messages": BACKLOG}
        unheard_s = self._bulk_s()
        with self._resting(self._workers) as pids:
            found["idle"] = self._idle(pids)
            found["single"] = self._single()
            heard_s = self._bulk_s()
        found["enqueue"] = {"unheard_s": unheard_s, "heard_s": heard_s, "ratio": heard_s / unheard_s}
        found["backlog"] = {f"{count} workers": self._backlog(count) for count in (1, self._workers)}
        return found

    def idle(self) -> dict[str, float]:
        """What all of them cost while there is nothing to do."""
        with self._resting(self._workers) as pids:
            return self._idle(pids)

    @contextmanager
    def _resting(self, count: int) -> Iterator[list[int]]:
        """Worker processes that have found nothing to do: their process ids."""
        command = [sys.executable, "-m", "postmill.cli.main", "worker", "run", "benchmarks.no_op:nothing"]
        environment = {**os.environ, "POSTMILL_DB_URL": self._server.url, "POSTMILL_LOG_LEVEL": "error"}
        processes = [subprocess.Popen(command, env=environment) for _ in range(count)]
        try:
            self._until(RESTING, count)
            yield [process.pid for process in processes]
        finally:
            for process in processes:
                process.terminate()
            for process in processes:
                process.wait()

    def _idle(self, workers: list[int]) -> dict[str, float]:
        time.sleep(10)  # the looks that follow a worker's start
        before = cpu_s(workers), cpu_s(server_processes(self._server.pid))
        self._db.execute(b"select pg_stat_statements_reset()")
        time.sleep(IDLE_S)
        statements = self._number(STATEMENTS)
        after = cpu_s(workers), cpu_s(server_processes(self._server.pid))
        return {
            "statements_per_s": statements / IDLE_S,
            "workers_cpu": (after[0] - before[0]) / IDLE_S,
            "server_cpu": (after[1] - before[1]) / IDLE_S,
        }

    def _single(self) -> dict[str, float]:
        self._db.execute(b"select pg_stat_statements_reset()")
        written = self._number(WRITTEN_CLAIMS)
        began = time.perf_counter()
        senders = [threading.Thread(target=self._send_singly) for _ in range(SENDERS)]
        for sender in senders:
            sender.start()
        for sender in senders:
            sender.join()
        self._until(LEFT, 0)
        elapsed_s = time.perf_counter() - began
        claims = self._number(CLAIMS)
        empty = claims - (self._number(WRITTEN_CLAIMS) - written)
        return {"per_s": SENDERS * EACH / elapsed_s, "claims": claims, "empty_share": empty / claims}

    def _send_singly(self) -> None:
        with Client(self._server.url) as client:
            for number in range(EACH):
                client.send(QUEUE, number)

    def _bulk_s(self) -> float:
        rounds = []
        with Client(self._server.url) as client:
            for _ in range(ROUNDS):
                began = time.perf_counter()
                client.send_many(QUEUE, range(BULK), delay=3600)  # none is claimed meanwhile
                rounds.append(time.perf_counter() - began)
                self._db.execute(b"truncate pgmq.q_many")
        return median(rounds)

    def _backlog(self, workers: int) -> dict[str, float]:
        """From the commit of a bulk send until nothing is left."""
        took_s = []
        with Client(self._server.url) as client, self._resting(workers) as pids:
            time.sleep(5)
            before = cpu_s(pids), cpu_s(server_processes(self._server.pid))
            for _ in range(ROUNDS):
                client.send_many(QUEUE, range(BACKLOG))
                began = time.perf_counter()
                self._until(LEFT, 0)
                took_s.append(time.perf_counter() - began)
                self._until(RESTING, workers)
            after = cpu_s(pids), cpu_s(server_processes(self._server.pid))
        return {
            "per_s": BACKLOG / median(took_s),
            "workers_cpu_us": (after[0] - before[0]) / BACKLOG / ROUNDS * 1e6,
            "server_cpu_us": (after[1] - before[1]) / BACKLOG / ROUNDS * 1e6,
        }

    def _number(self, query: bytes) -> int:
        row = self._db.execute(query).fetchone()
        return 0 if row is None or row[0] is None else int(row[0])

    def _until(self, query: bytes, value: int) -> None:
        while self._number(query) != value:
            time.sleep(0.01)


def cpu_s(pids: list[int]) -> float:
    """Processor time of these processes so far, in seconds."""
    return (
        sum(
            sum(map(int, Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:13]))
            for pid in pids
        )
        / TICKS_A_SECOND
    )


def server_processes(postmaster: int) -> list[int]:
    """The server's process and its children."""
    children = Path(f"/proc/{postmaster}/task/{postmaster}/children").read_text().split()
    return [postmaster, *map(int, children)]


def main() -> None:
    """Run it on a durable embedded server in a temporary folder."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--workers", type=int, default=20)
    with tempfile.TemporaryDirectory(prefix="postmill-many-", ignore_cleanup_errors=True) as folder:
        Path(folder).chmod(0o711)
        with open_server(Path(folder) / "server", settings=SETTINGS) as server:
            with connect(parse(server.url)) as connection:
                migrate(connection)
            print(json.dumps(Bench(server, parser.parse_args().workers).run(), indent=2))


if __name__ == "__main__":
    main()
