"""The comparison's runner on the two systems that need no environment of their own. No figure is judged."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from benchmarks.peers import page
from benchmarks.peers.peer import HERE, all_peers

if TYPE_CHECKING:
    from benchmarks.peers.peer import Peer
    from postmill.embedded import Server

ROOT = Path(__file__).parents[2]


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "benchmarks.peers", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )


def test_a_run_measures_and_becomes_a_page(shared_server: Server) -> None:
    sizes = ["--messages", "200", "--rounds", "2"]
    done = run("--url", shared_server.url, "--peers", "postmill,pgmq", "--only", "throughput", *sizes)
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert list(document["peers"]) == ["postmill", "pgmq"]
    for peer in document["peers"].values():
        assert "errors" not in peer
        assert len(peer["enqueue"]["rounds"]) == len(peer["drain"]["rounds"]) == 2
        assert peer["drain"]["per_s"] > 0
    written = page.text(document)
    assert "| Postmill | " in written
    assert "$" not in written


def test_job_features_are_measured_of_those_that_have_them(shared_server: Server) -> None:
    """Plain pgmq has none: nothing is measured of it, and nothing has failed."""
    sizes = ["--messages", "300", "--rounds", "1"]
    only = ["--peers", "postmill,pgmq", "--only", "unique,priority,limited"]
    done = run("--url", shared_server.url, *only, *sizes)
    assert done.returncode == 0, done.stderr
    ours, theirs = json.loads(done.stdout)["peers"].values()
    assert "errors" not in ours
    assert "errors" not in theirs
    assert [ours[feature]["per_s"] > 0 for feature in ("unique", "priority", "limited")] == [True] * 3
    assert not {"unique", "priority", "limited"} & set(theirs)


def test_flows_are_measured_of_those_that_have_them(shared_server: Server) -> None:
    """Plain pgmq has none: none are asked of it. What is compared in flows alone is asked of nothing else."""
    sizes = ["--messages", "20", "--flow-steps", "30", "--rounds", "1"]
    only = ["--peers", "pgmq,postmill_graph,postmill_durable", "--only", "throughput,runs,map,chain"]
    done = run("--url", shared_server.url, *only, *sizes)
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    plain, *ours = document["peers"].values()
    for peer in ours:
        assert "errors" not in peer
        assert all(peer[kind]["per_s"] > 0 for kind in ("runs", "map", "chain"))
        assert "drain" not in peer
    assert not {"runs", "map", "chain"} & set(plain)
    flows = "\n".join(page.table(page.among(document, page.FLOW_COLUMNS), page.FLOW_COLUMNS))
    assert "Postmill, graph" in flows
    assert "pgmq" not in flows


def test_what_was_not_measured_is_said() -> None:
    given_up = {"title": "Slow", "errors": {"install": "no such package"}, "crash": {"s": None}}
    document = {
        "peers": {"postmill": {"title": "Postmill", "crash": {"s": 10.0}}, "slow": given_up},
        "options": {"give_up_s": 90.0},
    }
    ours, theirs = page.table(document, page.COLUMNS)[2:]
    assert (ours.split(" | ")[-1], theirs.split(" | ")[-1]) == ("10 |", "> 90 |")
    assert theirs.count(" - ") == len(page.COLUMNS) - 1
    assert page.behind(document) == ["Nowhere in this run."]


def test_an_unknown_peer_is_refused() -> None:
    done = run("--peers", "postmill,celery")
    assert done.returncode == 2
    assert "'celery' is none of postmill, " in done.stderr


@pytest.mark.parametrize("peer", all_peers().values(), ids=lambda peer: peer.name)
def test_each_peer_has_its_driver_and_its_pinned_versions(peer: Peer) -> None:
    assert (HERE / "drivers" / peer.driver).is_file()
    if peer.requirements is not None:
        assert (HERE / "requirements" / peer.requirements).is_file()
