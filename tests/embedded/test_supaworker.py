"""``Supaworker`` in a project without a database of its own: nothing is to be set up before."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

SCRIPT = """
from postmill import Supaworker

def handle(job):
    print("ran", job.payload, flush=True)
    mailer.stop()

mailer = Supaworker("mail", handle)
mailer.enqueue_jobs([{"payload": 1}])
mailer.start()
"""


def test_the_embedded_database_gets_the_facade_when_it_is_used(place: Path, project: Path) -> None:
    unset = {"POSTMILL_DB_URL", "EDGE_WORKER_DB_URL", "DATABASE_URL"}
    environment = {name: value for name, value in os.environ.items() if name not in unset}
    (place / "app.py").write_text(SCRIPT)
    ended = subprocess.run(
        [sys.executable, "app.py"],
        cwd=place,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    assert "ran 1\n" in ended.stdout
