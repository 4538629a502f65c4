"""The measurements, the same for every peer. Each returns figures by name, with the unit in the name.

A driver is believed about when a handler began; whether everything is settled is asked of the database.
"""

from __future__ import annotations

import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from statistics import median, quantiles
from typing import TYPE_CHECKING, Any

import psycopg

from benchmarks.peers.databases import database
from benchmarks.peers.process import Driver, DriverFailed
from postmill.db.tools.migrate import migrate

if TYPE_CHECKING:
    from collections.abc import Iterator

    from benchmarks.peers.environments import Environment
    from benchmarks.peers.peer import Peer

Figures = dict[str, float | None]

GIVE_UP_S = 120.0
"""For anything that should take seconds."""
WARM_UP = 10
"""First messages of a latency run, which are not counted."""
PINNED_SHARE = 0.7
IN_FLIGHT = 100
LOOK_EVERY_S = 0.02


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """``messages``: at most so many a round, or short runs. ``flow_steps``: of the map and of the long run.
    ``seconds``: how long the horizon is pinned.
    """

    messages: int = 1_000_000
    flow_steps: int = 1_000
    payload_bytes: int = 100
    rounds: int = 3
    latency_messages: int = 300
    latency_rate: float = 50.0
    pinned_rate: float = 5_000.0
    seconds: float = 30.0
    give_up_s: float = 90.0


class Bench:
    """One peer on one server, in a new database for every measurement."""

    def __init__(self, peer: Peer, environment: Environment, server: str, options: Options) -> None:
        self.peer = peer
        self._environment = environment
        self._server = server
        self._options = options

    def about(self) -> dict[str, Any]:
        """The peer's version, settings and features; also tells whether it can be installed at all."""
        with database(self._server, f"peers_{self.peer.name}") as url:
            return self._install(url)

    def throughput(self) -> Figures:
        """Messages a second: bulk enqueue into an empty queue, then a worker that empties it."""
        with self._database() as url:
            return {"enqueue": self._enqueue(url, self._messages), "drain": self._drain(url, self._messages)}

    def unique(self) -> Figures:
        """Messages a second: bulk enqueue into an empty queue, each message with a key of its own."""
        with self._database("unique") as url:
            return {"unique": self._enqueue(url, self._messages, feature="unique")}

    def priority(self) -> Figures:
        """Messages a second: a worker empties a queue of messages of ten priorities, which it honours."""
        return {"priority": self._drain_featured("priority", self._messages)}

    def limited(self) -> Figures:
        """Messages a second: a worker empties a queue of 100 groups, of which one message each may run."""
        return {"limited": self._drain_featured("limited", self.peer.limited_messages or self._messages)}

    def runs(self) -> Figures:
        """Steps a second: a worker does many short runs, 100 at a time."""
        runs = min(self.peer.runs, self._options.messages)
        return {"runs": self._flows("runs", runs, self.peer.steps_of_a_run)}

    def map(self) -> Figures:
        """Items a second: a worker does one run, whose only step maps over a list."""
        return {"map": self._flows("map", 1, self._options.flow_steps)}

    def chain(self) -> Figures:
        """Steps a second: a worker does one long run, of which each step waits for the one before it."""
        return {"chain": self._flows("chain", 1, self._options.flow_steps)}

    def _flows(self, feature: str, runs: int, steps: int) -> float:
        with self._database(feature, steps=steps) as url:
            self._enqueue(url, runs, feature=feature, steps=steps)
            return self._drain(url, runs * steps, feature=feature, steps=steps)

    def _drain_featured(self, feature: str, messages: int) -> float:
        with self._database(feature) as url:
            messages = min(messages, self._options.messages)
            self._enqueue(url, messages, feature=feature)
            return self._drain(url, messages, feature=feature)

    def latency(self) -> Figures:
        """From the confirmed commit of one message to the start of its handler, on an idle worker.

        ``p50_with_commit_ms`` counts from when the commit was asked for.
        """
        options = self._options
        count = WARM_UP + options.latency_messages
        with self._database() as url, self._driver(url, "work", handler="stamp") as worker:
            time.sleep(3)  # it has connected, listens and waits
            with self._driver(url, "send", messages=count, rate=options.latency_rate) as sender:
                sent = sender.until("sent", GIVE_UP_S, count)
                started = {line["started"]: line["at"] for line in worker.until("started", GIVE_UP_S, count)}
        counted = sent[WARM_UP:]
        found = [1000 * (started[line["sent"]] - line["committed"]) for line in counted]
        whole = [1000 * (started[line["sent"]] - line["committing"]) for line in counted]
        cuts = quantiles(found, n=100, method="inclusive")
        return {
            **{f"p{percent}_ms": cuts[percent - 1] for percent in (50, 95, 99)},
            "p50_with_commit_ms": median(whole),
        }

    def pinned(self, drain_per_s: float) -> Figures:
        """A steady load while a transaction pins the vacuum horizon; then, still pinned, a backlog to drain.

        ``drain_per_s`` is the peer's own unpinned rate; the load is 70 % of it where that is less than what
        was asked for.
        """
        rate = min(self._options.pinned_rate, PINNED_SHARE * drain_per_s)
        with self._database() as url, _pin(url):
            figures = self._steady(url, rate)
            with suppress(DriverFailed):
                messages = max(1, self._messages // 2)
                self._enqueue(url, messages)
                drained = self._drain(url, messages)
                figures |= {"drain_per_s": drained, "drain_kept": drained / drain_per_s}
        return figures

    def crash(self) -> Figures:
        """Seconds from SIGKILL, with 100 messages in flight, until another worker has handled all of them.

        None when that takes longer than ``give_up_s``. Default settings, but for 100 messages at once.
        """
        with self._database() as url:
            self._enqueue(url, IN_FLIGHT)
            with self._driver(url, "work", handler="hang", tuned=False) as worker:
                worker.until("started", GIVE_UP_S, IN_FLIGHT)
                killed = worker.kill()
            with self._driver(url, "work", handler="count", goal=IN_FLIGHT, tuned=False) as worker:
                time.sleep(max(0, killed + self._options.give_up_s - time.monotonic()))
                reached = [line["reached"] for line in worker.lines if "reached" in line]
        return {"s": reached[0] - killed if reached else None}

    @property
    def _messages(self) -> int:
        return min(self.peer.messages or 0, self._options.messages)

    def _driver(self, url: str, role: str, **task: Any) -> Driver:
        defaults = {"tuned": True, "concurrency": IN_FLIGHT, "payload_bytes": self._options.payload_bytes}
        return Driver(self._environment, {"role": role, "url": url, **defaults, **task})

    @contextmanager
    def _database(self, feature: str | None = None, **task: Any) -> Iterator[str]:
        with database(self._server, f"peers_{self.peer.name}") as url:
            self._install(url, feature=feature, **task)
            yield url

    def _install(self, url: str, **task: Any) -> dict[str, Any]:
        if self.peer.brings_pgmq:
            with psycopg.connect(url, autocommit=True) as connection:
                migrate(connection)
        with self._driver(url, "install", **task) as driver:
            [about] = driver.until("version", GIVE_UP_S)
            driver.wait_for_end()
        return about

    def _enqueue(self, url: str, messages: int, **task: Any) -> float:
        with self._driver(url, "enqueue", messages=messages, **task) as driver:
            [line] = driver.until("took_s", GIVE_UP_S)
        return float(messages / line["took_s"])

    def _drain(self, url: str, messages: int, **task: Any) -> float:
        """A second, from the first handler's start until the database has nothing unfinished."""
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("vacuum analyze")
            connection.execute("checkpoint")
        with self._driver(url, "work", handler="count", goal=messages, **task) as worker:
            [line] = worker.until("first", GIVE_UP_S)
            worker.until("reached", GIVE_UP_S)
            finished = self._finished(url, time.monotonic() + GIVE_UP_S)
        return float(messages / (finished - line["first"]))

    def _finished(self, url: str, deadline: float) -> float:
        """When nothing was unfinished any more. Raises ``TimeoutError``."""
        with psycopg.connect(url, autocommit=True) as connection:
            while True:
                [unfinished] = connection.execute(self.peer.unfinished).fetchone() or [True]
                if not unfinished:
                    return time.monotonic()
                if time.monotonic() > deadline:
                    raise TimeoutError
                time.sleep(LOOK_EVERY_S)

    def _steady(self, url: str, rate: float) -> Figures:
        """The load, and what was left to do when it ended; returns once that is done."""
        seconds = self._options.seconds
        with self._driver(url, "work", handler="count") as worker:
            time.sleep(3)
            with self._driver(url, "produce", rate=rate, seconds=seconds) as producer:
                [done] = producer.until("done", seconds + GIVE_UP_S)
            ended = time.monotonic()
            sent = [(line["at"], line["sent"]) for line in producer.lines if "at" in line]
            began = sent[0][0]
            with suppress(TimeoutError):  # a backlog that takes longer is a figure too
                self._finished(url, ended + self._options.give_up_s / 3)
            handled = [(line["at"], line["count"]) for line in worker.lines if "count" in line]
        third = seconds / 3
        first = _at(handled, began + third) - _at(handled, began)
        last = _at(handled, ended) - _at(handled, ended - third)
        backlog = done["done"] - _at(handled, ended)
        return {
            "offered_per_s": rate,
            "sent_per_s": done["done"] / (ended - began),
            "rate_kept": last / first if first else None,
            "backlog": backlog,
            "backlog_s": backlog / rate,
        }


def _at(counts: list[tuple[float, float]], moment: float) -> float:
    """The count at a moment, between the lines that were told before and after it."""
    before, after = (0.0, 0.0), None
    for at, count in counts:
        if at > moment:
            after = (at, count)
            break
        before = (at, count)
    if after is None or before == (0.0, 0.0):
        return before[1]
    return before[1] + (after[1] - before[1]) * (moment - before[0]) / (after[0] - before[0])


@contextmanager
def _pin(url: str) -> Iterator[None]:
    """An idle transaction with a snapshot and an id of its own."""
    with psycopg.connect(url) as connection:
        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        connection.execute("select pg_current_xact_id()")
        yield
        connection.rollback()
