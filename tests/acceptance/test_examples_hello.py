"""The smallest worker runs as its page says."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from postmill import Client

if TYPE_CHECKING:
    from typing import Any

    import psycopg

ROOT = Path(__file__).parents[2]


def test_it_greets_and_completes_the_message(
    tmp_path: Path, database_url: str, db: psycopg.Connection[dict[str, Any]]
) -> None:
    db.execute("select postmill.create_queue('hello')")
    sent = Client(db).send("hello", {"name": "world"})
    command = [sys.executable, "-m", "postmill.cli.main", "worker", "run", "examples.hello.worker:hello"]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "POSTMILL_DB_URL": database_url}
    with subprocess.Popen(
        command, cwd=tmp_path, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    ) as worker:
        assert worker.stdout is not None
        assert any("hello, world" in line for line in worker.stdout), "the worker ended without a greeting"
        worker.terminate()
        worker.communicate()
    assert worker.returncode == 0
    archived = db.execute("select msg_id from pgmq.a_hello").fetchall()
    assert archived == [{"msg_id": sent}]
