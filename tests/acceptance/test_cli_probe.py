"""`postmill worker run --probe-port`: what orchestrators and Prometheus ask."""

from __future__ import annotations

import json
import re
import signal
import socket
import time
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import httpx
import pytest

from postmill.service.stop_requests import ECHO_S
from tests.acceptance.test_cli_running import until
from tests.serving import Serving

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.acceptance.conftest import Cli

WORKER = """
import time
from postmill import Context, Retry, worker

@worker(queue="jobs", retry=Retry.none, grace=30)
async def work(payload: str, ctx: Context) -> None:
    if payload == "fail":
        raise ValueError("asked to")
    if payload == "wait":
        await ctx.stopping.wait()
        await __import__("asyncio").sleep(30)
    if payload == "block":
        time.sleep(2)
"""


def until_true(condition: Callable[[], bool]) -> None:
    """Ask a process until it says so."""
    end = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


class Worker:
    """A worker process with a probe."""

    def __init__(self, child: Any) -> None:
        self.child = child
        self.url: str = json.loads(until(child, "probe.listening"))["url"]

    def get(self, path: str, **options: Any) -> httpx.Response:
        return httpx.get(self.url + path, **options)

    def hangs(self) -> bool:
        """Ask until there is no answer for half a second."""
        while True:
            try:
                self.get("/live", timeout=0.5)
            except httpx.ReadTimeout:
                return True

    def until(self, text: str) -> str:
        return until(self.child, text)


@pytest.fixture
def start(spawn: Any, tmp_path: Path) -> Any:
    (tmp_path / "jobs.py").write_text(WORKER)

    def started(**environment: str) -> Worker:
        child = spawn(
            "worker",
            "run",
            "jobs:work",
            "--probe-port",
            "0",
            env={"POSTMILL_LOG_FORMAT": "json", **environment},
        )
        return Worker(child)

    return started


def test_it_is_ready_once_it_has_started(cli: Cli, start: Any) -> None:
    running = start()
    assert urlsplit(running.url).hostname == "127.0.0.1"
    running.until("worker.started")
    assert (running.get("/live").status_code, running.get("/live").text) == (200, "live\n")
    assert (running.get("/ready").status_code, running.get("/ready").text) == (200, "ready\n")


def test_it_counts_what_the_worker_does(cli: Cli, start: Any) -> None:
    running = start()
    cli("send", "jobs", '"ok"', "--create")
    cli("send", "jobs", '"fail"')
    running.until("message.dead")
    while 'outcome="completed",queue="jobs",worker="work"} 1.0' not in (text := metrics(running)):
        running.until("message.completed")
    for line in (
        'postmill_messages_claimed_total{queue="jobs",worker="work"} 2.0',
        'postmill_messages_settled_total{outcome="dead",queue="jobs",worker="work"} 1.0',
        'postmill_attempt_duration_seconds_count{queue="jobs",worker="work"} 2.0',
        'postmill_slots{queue="jobs",worker="work"} 10.0',
        "postmill_ready 1.0",
        "process_cpu_seconds_total",
    ):
        assert line in text


def metrics(running: Worker) -> str:
    answer = running.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain")
    # Label order is prometheus-client's affair: sorted, so that lines can be compared.
    return "\n".join(sorted_labels(line) for line in answer.text.splitlines())


def sorted_labels(line: str) -> str:
    name, brace, rest = line.partition("{")
    labels, close, value = rest.rpartition("}")
    return f"{name}{{{','.join(sorted(labels.split(',')))}}}{value}" if brace and close else line


DIES = """
    with gone as (delete from pgmq.q_mail returning msg_id, read_ct, enqueued_at, message)
    insert into postmill.dead_letters
        (queue_name, msg_id, read_ct, enqueued_at, message, attempts, kind, reason)
    select 'mail', msg_id, read_ct, enqueued_at, message, 1, 'error', 'no' from gone
"""


def test_metrics_tell_what_waits_and_read_it_only_when_asked(cli: Cli, start: Any, db: Any) -> None:
    """Answers show what the database said a moment ago."""
    cli("queue", "create", "jobs")
    db.execute("select postmill.limit_groups('jobs', max_running => 1)")
    db.execute("select postmill.send('jobs', '\"wait\"', group_key => 'acme') from generate_series(1, 2)")
    cli("queue", "create", "mail")
    db.execute("select postmill.send('mail', '1')")
    db.execute("select postmill.send('jobs', '1', after => array['mail:1'], on_source_dead => 'block')")
    db.execute(DIES)
    db.execute("update postmill.blocked set due_at = now() - interval '2 min'")
    running = start()
    until_true(lambda: 'postmill_messages_running{queue="jobs",worker="work"} 1.0' in metrics(running))
    told = ("waiting", 2), ("groups_at_limit", 1), ("dependents_stuck", 1), ("desired_workers", 1)
    lines = [f'postmill_queue_{name}{{queue="jobs"}} {figure:.1f}' for name, figure in told]
    until_true(lambda: all(line in metrics(running) for line in lines))
    text = metrics(running)
    (age,) = (line for line in text.splitlines() if line.startswith("postmill_queue_oldest_waiting_seconds{"))
    assert float(age.rpartition(" ")[2]) >= 120


def test_metrics_tell_of_schedules(cli: Cli, start: Any, db: Any) -> None:
    cli("queue", "create", "jobs")
    cli("schedule", "add", "yearly", "@yearly", "jobs")
    cli("schedule", "run", "yearly")
    db.execute("update postmill.schedule_runs set status = 'failed'")
    db.execute("select postmill.schedule('odd', '61 * * * *', 'jobs')")
    db.execute("select postmill.schedule('off', '@daily', 'jobs'), postmill.pause_schedule('off')")
    running = start()
    told = (
        '{state="active"} 1.0',
        '{state="paused"} 1.0',
        '{state="broken"} 1.0',
        "_late 0.0",
        "_failing 1.0",
    )
    lines = [f"postmill_schedules{line}" for line in told]
    lines.append('postmill_schedule_failing{schedule="yearly"} 1.0')
    until_true(lambda: all(line in metrics(running) for line in lines))
    text = metrics(running)
    (until,) = (
        line for line in text.splitlines() if line.startswith("postmill_schedules_next_tick_seconds ")
    )
    assert 0 < float(until.rpartition(" ")[2]) <= 366 * 86_400
    failed = 'postmill_events_total{event="schedule.failed",queue="*",worker="postmill"} 1.0'
    until_true(lambda: failed in metrics(running))


@pytest.mark.parametrize(
    ("command", "served"), [("serve", "functions"), ("dev", "functions"), ("dev", "workers")]
)
def test_served_functions_and_dev_tell_of_schedules_as_workers_do(
    db: Any, database_url: str, tmp_path: Path, command: str, served: str
) -> None:
    """A fleet without `worker run` had nothing to scrape. In `dev` the child tells that fires schedules."""
    (tmp_path / "functions").mkdir()
    (tmp_path / "functions" / "hello.py").write_text("async def handler(request): ...\n")
    if served == "workers":
        (tmp_path / "functions").rename(tmp_path / "others")
        (tmp_path / "jobs.py").write_text(WORKER)
    (tmp_path / "postmill.toml").write_text("[runtime]\nport = 0\n")
    db.execute("select postmill.schedule_sql('often', '1 second', 'select 1 / 0')")
    db.execute("select postmill.schedule_sql('odd', '61 * * * *', 'select 1')")
    option = ("--probe-port", "0")
    environment = {"POSTMILL_DB_URL": database_url}
    with Serving(tmp_path, command, *option, environment=environment, listening=False) as serving:
        found = re.search(r"http://127\.0\.0\.1:\d+", serving.said("probe.listening"))
        assert found is not None
        lines = (
            'postmill_schedules{state="active"} 1.0',
            'postmill_schedules{state="broken"} 1.0',
            "postmill_schedules_late 0.0",
            "postmill_schedules_failing 1.0",
            'postmill_schedule_failing{schedule="often"} 1.0',
            'postmill_events_total{event="schedule.failed",queue="*",worker="postmill"} 1.0',
            "postmill_ready 1.0",
        )
        until_true(lambda: httpx.get(f"{found[0]}/ready").status_code == 200)
        until_true(lambda: all(line in httpx.get(f"{found[0]}/metrics").text for line in lines))
        text = httpx.get(f"{found[0]}/metrics").text
        fired = re.search(r'events_total{event="schedule.fired",queue="\*",worker="postmill"} (\d+)', text)
        assert fired is not None
        assert int(fired[1]) > 0
        assert httpx.get(f"{found[0]}/live").text == "live\n"
        assert serving.stop() == 0


def test_a_worker_that_drains_is_alive_but_not_ready(cli: Cli, start: Any) -> None:
    running = start()
    cli("send", "jobs", '"wait"', "--create")
    while 'postmill_messages_running{queue="jobs",worker="work"} 1.0' not in metrics(running):
        pass
    running.child.send_signal(signal.SIGTERM)
    running.until("worker.draining")
    assert (running.get("/ready").status_code, running.get("/ready").text) == (503, "stopping\n")
    assert running.get("/live").status_code == 200
    time.sleep(ECHO_S)  # until a second request is no echo of the first
    running.child.send_signal(signal.SIGTERM)
    assert running.child.wait() == 0


def test_it_answers_while_the_database_is_away(cli_without_database: Cli, start: Any, server: Any) -> None:
    running = start(POSTMILL_DB_URL=server.url)
    running.until("worker.started")
    server.stop("immediate")
    running.until("database.lost")
    while running.get("/ready").status_code == 200:
        pass
    assert running.get("/ready").text == "the database does not answer\n"
    said = metrics(running)
    assert "postmill_ready 0.0" in said
    assert 'postmill_events_total{event="database.lost",queue="*",worker="postmill"} 1.0' in said
    server.start()
    while running.get("/ready").status_code != 200:
        pass


def test_a_handler_that_blocks_the_event_loop_is_seen(cli: Cli, start: Any) -> None:
    running = start()
    running.until("worker.started")
    cli("send", "jobs", '"block"', "--create")
    assert running.hangs()


@pytest.mark.parametrize(
    ("request_line", "status"),
    [
        (b"GET /nothing HTTP/1.1", b"404"),
        (b"POST /live HTTP/1.1", b"405"),
        (b"HEAD /ready HTTP/1.1", b"200"),
        (b"GET /live?full=1 HTTP/1.0", b"200"),
        (b"nonsense", b"405"),
        (b"GET", b"405"),
    ],
)
def test_it_serves_little_and_survives_the_rest(
    cli: Cli, start: Any, request_line: bytes, status: bytes
) -> None:
    running = start()
    running.until("worker.started")
    assert asked(running.url, request_line + b"\r\n\r\n").split()[1] == status
    assert asked(running.url, b"GET /live HTTP/1.1\r\nX: " + b"x" * 100_000) == b""
    assert running.get("/live").status_code == 200


def asked(url: str, request: bytes) -> bytes:
    """What the probe answers to these bytes; nothing when it hangs up."""
    address = urlsplit(url)
    with socket.create_connection((str(address.hostname), address.port or 0), timeout=20) as connection:
        try:
            connection.sendall(request)
            return b"".join(iter(lambda: connection.recv(4096), b""))
        except ConnectionError:
            return b""


def test_a_port_that_is_taken_is_an_error(cli: Cli, start: Any, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        answer = cli("worker", "run", "jobs:work", "--probe-port", port)
    assert (answer.code, answer.error_code) == (2, "invalid-option")


def test_without_prometheus_client_metrics_say_what_to_install(cli: Cli, start: Any, tmp_path: Path) -> None:
    (tmp_path / "prometheus_client.py").write_text("raise ImportError('not installed')")
    running = start(PYTHONPATH=str(tmp_path))
    answer = running.get("/metrics")
    assert (answer.status_code, "postmill[prometheus]" in answer.text) == (501, True)


CANCELLING = """
import asyncio
import logging
from postmill import worker

class NeedsRequest(logging.Filter):
    def filter(self, record):
        return bool(record.request["id"])

@worker(queue="jobs", max_poll_seconds=0.5)
async def work(payload: dict) -> None:
    if payload.get("cancel"):
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            task.cancel()
    if payload.get("log"):
        for handler in logging.getLogger("postmill").handlers:
            handler.addFilter(NeedsRequest())
"""


@pytest.mark.parametrize("what", ["cancel", "log"])
def test_a_handler_that_breaks_what_is_around_it_ends_nothing(
    cli: Cli, spawn: Any, tmp_path: Path, what: str
) -> None:
    """A handler cancels every task of its process, or its application's log filter raises: the worker goes
    on, is ready, and ends well.
    """
    (tmp_path / "jobs.py").write_text(CANCELLING)
    environment = {"POSTMILL_LOG_FORMAT": "json"}
    child = Worker(spawn("worker", "run", "jobs:work", "--probe-port", "0", env=environment))
    child.until("worker.started")
    for payload in (f'{{"{what}": 1}}', "{}", f'{{"{what}": 1}}', "{}"):
        cli("send", "jobs", payload)

    def completed() -> bool:
        return [row["state"] for row in cli("message", "list", "jobs", "--json").json] == ["completed"] * 4

    until_true(completed)
    until_true(lambda: child.get("/ready").status_code == 200)
    child.child.send_signal(signal.SIGTERM)
    assert child.child.wait(timeout=30) == 0
