"""One run: every peer is installed; then one measurement after the other, in which the peers take turns."""

from __future__ import annotations

import json
import os
import platform
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import asdict
from datetime import UTC, datetime
from functools import partial
from statistics import median
from typing import TYPE_CHECKING, Any

import psycopg

from benchmarks.peers import databases
from benchmarks.peers.environments import NotInstalled, prepare
from benchmarks.peers.measurements import Bench
from benchmarks.peers.process import DriverFailed
from postmill.sql.catalog import statement

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from benchmarks.peers.measurements import Options
    from benchmarks.peers.peer import Peer

    Found = dict[str, Any]

FEATURES = ("unique", "priority", "limited", "runs", "map", "chain")
"""Measured of those systems that say that they have them. The last three are flows."""
MEASUREMENTS = ("throughput", *FEATURES, "latency", "pinned", "crash")
"""``throughput`` is enqueue and drain; ``pinned`` needs it in the same run."""


class Run:
    """What is found of each peer. What fails is noted with its reason, and the rest goes on."""

    def __init__(self, server: str, options: Options) -> None:
        self._server = server
        self._options = options
        self._benches: dict[str, Bench] = {}
        self.found: dict[str, Found] = {}

    def install(self, peers: Sequence[Peer], cache: Path, pythons: Sequence[str]) -> None:
        """Make the environment of each peer; one that can't be had is left out."""
        for peer in peers:
            say(f"{peer.name}: installing")
            self.found[peer.name] = {"title": peer.title}
            try:
                bench = Bench(peer, prepare(peer, cache, pythons), self._server, self._options)
                self.found[peer.name] |= bench.about()
            except (NotInstalled, DriverFailed) as error:
                self._note(peer.name, "install", error)
            else:
                self._benches[peer.name] = bench

    def throughput(self) -> None:
        """Messages a second, sent in bulk and worked off."""
        self._in_rounds("throughput", {name: bench.throughput for name, bench in self._of_messages()})

    def feature(self, feature: str) -> None:
        """What is a second of work of this kind, of those that have it."""
        having = {name: bench for name, bench in self._benches.items() if self._has(name, feature)}
        self._in_rounds(feature, {name: getattr(bench, feature) for name, bench in having.items()})

    def _has(self, name: str, feature: str) -> bool:
        return feature in self.found[name]["features"]

    def _of_messages(self) -> Iterator[tuple[str, Bench]]:
        """Those that are compared in more than flows."""
        return ((name, bench) for name, bench in self._benches.items() if bench.peer.messages)

    def _in_rounds(self, what: str, measures: Mapping[str, Callable[[], Found]]) -> None:
        """Medians of several rounds, each with all peers, so that the machine's noise falls on all."""
        rounds: dict[str, list[Found]] = {name: [] for name in measures}
        for _ in range(self._options.rounds):
            for name, measure in measures.items():
                if found := self._try(name, what, measure):
                    rounds[name].append(found)
        for name, found_here in rounds.items():
            for rate in found_here[0] if found_here else ():
                rates = [found[rate] for found in found_here]
                self.found[name][rate] = {"per_s": median(rates), "rounds": rates}

    def latency(self) -> None:
        """One peer after the other."""
        for name, bench in self._of_messages():
            self._keep(name, "latency", bench.latency)

    def pinned(self) -> None:
        """One peer after the other; those whose drain rate is known."""
        for name, bench in self._benches.items():
            if drain := self.found[name].get("drain"):
                self._keep(name, "pinned", partial(bench.pinned, drain["per_s"]))

    def crash(self) -> None:
        """All peers at once, as most of it is waiting."""
        with ThreadPoolExecutor(max(1, len(self._benches))) as pool:
            for name, bench in self._of_messages():
                pool.submit(self._keep, name, "crash", bench.crash)

    def _keep(self, name: str, what: str, measure: Callable[[], Found]) -> None:
        if found := self._try(name, what, measure):
            self.found[name][what] = found

    def _try(self, name: str, what: str, measure: Callable[[], Found]) -> Found | None:
        try:
            found = measure()
        except (DriverFailed, TimeoutError, psycopg.Error) as error:
            self._note(name, what, error)
            return None
        say(f"{name}: {what} {json.dumps(found)}")
        return found

    def _note(self, name: str, what: str, error: Exception) -> None:
        say(f"{name}: {what} failed: {error}")
        self.found[name].setdefault("errors", {})[what] = str(error) or type(error).__name__


def run(
    peers: Sequence[Peer],
    only: Sequence[str],
    options: Options,
    cache: Path,
    pythons: Sequence[str],
    url: str | None,
) -> Found:
    """The document: on what it ran, with which options, and what was found of each peer."""
    with nullcontext(url) if url else databases.embedded() as server:
        around = environment(server)
        this = Run(server, options)
        this.install(peers, cache, pythons)
        for what in only:
            if what in FEATURES:
                this.feature(what)
            else:
                getattr(this, what)()
    return {"environment": around, "options": asdict(options), "peers": this.found}


def environment(server: str) -> Found:
    """The machine and the server, and how busy the machine was before the run."""
    with psycopg.connect(server) as connection:
        settings: dict[str, str] = dict(connection.execute(statement("bench_server")).fetchall())
    return {
        "date": f"{datetime.now(UTC):%Y-%m-%d}",
        "cpus": os.cpu_count(),
        "machine": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "load_1m": round(os.getloadavg()[0], 2),
        "server": settings,
    }


def say(text: str) -> None:
    """A note on progress, on stderr."""
    print(f"{datetime.now(UTC):%H:%M:%S} {text}", file=sys.stderr, flush=True)
