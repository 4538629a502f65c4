"""``EdgeWorker.start(...)``: one call, in a plain process, until it is told to stop."""

from __future__ import annotations

import signal
import subprocess
from typing import TYPE_CHECKING, Any

import psycopg  # noqa: TC002 - pytest reads the annotation
import pytest

from postmill import EdgeWorker
from postmill.model.errors import InvalidOption
from tests.service.scripts import scripts

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


@pytest.fixture
def start(database_url: str, tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Run a script of a user's with the test's database as its only setting."""
    with scripts(tmp_path, database_url, stderr=subprocess.STDOUT) as begin:
        yield begin


def line_with(process: subprocess.Popen[str], text: str) -> str:
    """The next line of its output that contains ``text``; what came before is in the error otherwise."""
    assert process.stdout is not None
    seen = []
    for line in process.stdout:
        seen.append(line)
        if text in line:
            return line
    raise AssertionError("".join(seen))


def send(db: psycopg.Connection[Any], payload: str) -> None:
    db.execute("select postmill.create_queue('tasks')")
    db.execute(f"select pgmq.send('tasks', '{payload}'::jsonb)".encode())


def test_zero_configuration_until_sigterm(start: Callable[..., Any], db: psycopg.Connection[Any]) -> None:
    send(db, '{"hello": "world"}')
    process = start("from postmill import EdgeWorker\nEdgeWorker.start(print)\nprint('returned')\n")
    line_with(process, "{'hello': 'world'}")
    process.send_signal(signal.SIGTERM)
    line_with(process, "returned")
    assert process.wait(30) == 0
    row = db.execute("select stopped_at, stop_reason, function_name from postmill.workers").fetchone()
    assert row is not None
    assert (row["stop_reason"], row["function_name"]) == ("shutdown", "print")
    assert db.execute("select count(*) as n from postmill.claims").fetchone() == {"n": 0}


def test_a_thread_that_hangs_does_not_hold_up_the_end(
    start: Callable[..., Any], db: psycopg.Connection[Any]
) -> None:
    """A thread can't be killed, but its process can: the message goes to another worker."""
    send(db, "1")
    process = start(
        "import time\nfrom postmill import EdgeWorker\n"
        "def handle(payload):\n    print('at it')\n    time.sleep(3600)\n"
        "EdgeWorker.start(handle, grace=0.2, timeout=0.1)\n"
    )
    line_with(process, "at it")
    process.send_signal(signal.SIGTERM)
    assert process.wait(30) is not None
    row = db.execute("select count(*) as n from pgmq.q_tasks").fetchone()
    assert row == {"n": 1}


def test_a_coroutine_that_ignores_its_cancellation_does_not_hold_up_the_end(
    start: Callable[..., Any], db: psycopg.Connection[Any]
) -> None:
    send(db, "1")
    process = start(
        "import asyncio\nfrom postmill import EdgeWorker\n"
        "async def handle(payload):\n    print('at it')\n"
        "    while True:\n        try:\n            await asyncio.sleep(3600)\n"
        "        except asyncio.CancelledError:\n            print('ignored')\n"
        "EdgeWorker.start(handle, grace=0.2)\n"
    )
    line_with(process, "at it")
    process.send_signal(signal.SIGTERM)
    line_with(process, "ignored")
    assert process.wait(30) is not None


def test_it_can_be_stopped_from_a_handler_or_a_thread(
    start: Callable[..., Any], db: psycopg.Connection[Any]
) -> None:
    send(db, "1")
    process = start(
        "from postmill import EdgeWorker\n"
        "def handle(payload):\n    EdgeWorker.stop()\n"
        "EdgeWorker.start(handle)\nprint('returned')\n"
    )
    line_with(process, "returned")
    assert process.wait(30) == 0
    assert db.execute("select count(*) as n from pgmq.a_tasks").fetchone() == {"n": 1}


def test_a_second_start_in_the_same_process_is_refused(
    start: Callable[..., Any], db: psycopg.Connection[Any]
) -> None:
    send(db, "1")
    process = start(
        "from postmill import EdgeWorker\n"
        "from postmill.model.errors import AlreadyStarted\n"
        "def handle(payload):\n"
        "    try:\n        EdgeWorker.start(print)\n"
        "    except AlreadyStarted as error:\n        print('refused:', error)\n"
        "    EdgeWorker.stop()\n"
        "EdgeWorker.start(handle)\n"
    )
    line_with(process, "refused: A worker runs in this process already.")
    assert process.wait(30) == 0


def test_names_from_typescript_are_understood(start: Callable[..., Any], db: psycopg.Connection[Any]) -> None:
    process = start(
        "from postmill import EdgeWorker\n"
        "EdgeWorker.start(print, queueName='orders', maxConcurrent=3, maxPgConnections=2, batchSize=5,\n"
        "    maxPollSeconds=1, pollIntervalMs=50, visibilityTimeout=5, retryDelay=1, retryLimit=2)\n"
    )
    db.execute("select postmill.create_queue('orders')")
    db.execute("select pgmq.send('orders', '\"hello\"')")
    line_with(process, "hello")
    row = db.execute("select queue_name, max_concurrent from postmill.workers").fetchone()
    assert row == {"queue_name": "orders", "max_concurrent": 3}
    process.send_signal(signal.SIGINT)
    assert process.wait(30) == 0


def test_a_queue_that_is_missing_is_made_at_the_start(
    start: Callable[..., Any], db: psycopg.Connection[Any]
) -> None:
    """A plain table that survives a crash: logged, and in one piece. The message finds it there."""
    process = start(
        "import logging\nlogging.basicConfig(level='INFO')\n"
        "from postmill import EdgeWorker\nEdgeWorker.start(print, queueName='fresh')\n"
    )
    line_with(process, "worker.started")
    row = db.execute(
        "select is_partitioned, is_unlogged from pgmq.meta where queue_name = 'fresh'"
    ).fetchone()
    assert row == {"is_partitioned": False, "is_unlogged": False}
    db.execute("select pgmq.send(queue_name => 'fresh', msg => '\"hello\"'::jsonb)")
    line_with(process, "hello")


def test_an_unknown_option_is_refused_and_leaves_nothing_behind() -> None:
    for _ in range(2):
        with pytest.raises(InvalidOption, match="maxConcurrent"):
            EdgeWorker.start(print, maxConcurent=3)


def test_stopping_what_does_not_run_is_harmless() -> None:
    EdgeWorker.stop()
