"""`postmill metrics`: what monitoring and autoscalers can be told while no worker runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

    from tests.acceptance.conftest import Cli


def test_every_queue_is_told_of_without_a_worker(cli: Cli, db: Any) -> None:
    cli("queue", "create", "jobs")

    db.execute("select postmill.send('jobs', '1') from generate_series(1, 300)")
    db.execute("select postmill.send('jobs', '1', delay => '1 hour')")
    said = cli("metrics").out.splitlines()
    for line in (
        'postmill_queue_messages{queue="jobs",state="ready"} 300.0',
        'postmill_queue_messages{queue="jobs",state="scheduled"} 1.0',
        'postmill_queue_workers{queue="jobs"} 0.0',
        'postmill_queue_desired_workers{queue="jobs"} 3.0',
        "# TYPE postmill_queue_desired_workers gauge",
    ):
        assert line in said
    (found,) = cli("metrics", "--json", "--slots", "1", "--target-wait", "100s").json
    assert (found["queue"], found["ready"], found["desired_workers"]) == ("jobs", 300, 3)


def test_a_worker_has_the_slots_of_the_last_one(cli: Cli, db: Any) -> None:
    cli("queue", "create", "jobs")
    db.execute("select postmill.send('jobs', '1') from generate_series(1, 300)")
    db.execute(
        "insert into postmill.workers (queue_name, function_name, hostname, pid, version, max_concurrent, "
        "started_at, stopped_at) values ('jobs', 'f', 'h', 1, '1', 2, now() - interval '1 h', now()), "
        "('jobs', 'f', 'h', 1, '1', 5, now() - interval '1 min', now())"
    )
    (found,) = cli("metrics", "--json").json
    assert found["desired_workers"] == 6


def test_without_prometheus_client_it_says_what_to_install(cli: Cli, spawn: Any, tmp_path: Path) -> None:
    (tmp_path / "prometheus_client.py").write_text("raise ImportError('not installed')")
    child = spawn("metrics", env={"PYTHONPATH": str(tmp_path)})
    _, said = child.communicate(timeout=60)
    assert child.returncode == 4
    assert "postmill[prometheus]" in said
    assert cli("metrics", "--json").json == []
