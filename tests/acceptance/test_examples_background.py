"""`postmill dev examples/background/functions`: both patterns of background work, as their page says."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from psycopg.rows import dict_row

from tests.serving import Serving

if TYPE_CHECKING:
    from tests.acceptance.conftest import Cli

FOLDER = Path(__file__).parents[2] / "examples" / "background"
GIVE_UP_S = 60.0


@pytest.mark.slow
def test_both_patterns_do_what_their_page_says(tmp_path: Path, cli_without_database: Cli) -> None:
    """The published statements are run as they stand, only more often: a second in place of thirty."""
    (tmp_path / "postmill.toml").write_text("[runtime]\nport = 0\n")
    with Serving(tmp_path, "dev", str(FOLDER / "functions")) as serving:
        url = cli_without_database("db", "url").out.strip()
        with psycopg.connect(url, autocommit=True, row_factory=dict_row) as db:
            for name in ("queue", "published"):
                text = (FOLDER / f"{name}.sql").read_text()
                assert "'30 seconds'" in text
                db.execute(text.replace("'30 seconds'", "'1 second'").encode())
            consumed = until(db, "select id from done where not exists (select from pgmq.q_my_tasks)")
            failed = until(
                db,
                "select status, return_message from cron.job_run_details join cron.job using (jobid)"
                " where jobname = 'consume-as-published' and end_time is not null",
            )
        assert consumed == {"id": 123}
        assert failed == {"status": "failed", "return_message": 'ERROR:  column "processed" does not exist'}
        answer = serving.client.post("relay", json={"event": "paid"})
        assert (answer.status_code, json.loads(answer.text)) == (202, {"status": "accepted"})
        serving.said("passed on paid")
        serving.said("command.failed")
        assert serving.stop() == 0


def until(db: psycopg.Connection[dict[str, Any]], question: str) -> dict[str, Any]:
    """The first row, once there is one."""
    deadline = time.monotonic() + GIVE_UP_S
    while (row := db.execute(question.encode()).fetchone()) is None:
        assert time.monotonic() < deadline, db.execute("select * from cron.job_run_details").fetchall()
        time.sleep(0.05)
    return row
