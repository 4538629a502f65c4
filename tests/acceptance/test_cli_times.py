"""Times that other clients have written and Python has no date for: every list and every view copes with
them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    import psycopg

    from tests.acceptance.conftest import Cli

    Database = psycopg.Connection[dict[str, Any]]

TIMES = ["infinity", "-infinity", "294000-01-01 00:00:00+00", "4700-01-01 00:00:00+00 BC"]


@pytest.mark.parametrize("at", TIMES)
def test_every_list_shows_times_of_any_kind(cli: Cli, db: Database, at: str) -> None:
    """``message list`` ended with 1, and every read of the statistics on a server before 17."""
    db.execute("select postmill.create_queue('tasks')")
    db.execute(
        "insert into pgmq.q_tasks (vt, enqueued_at, message)"
        " values ($1::text::timestamptz, $1::text::timestamptz, '1')",
        [at],
    )
    db.execute(
        "insert into pgmq.a_tasks (msg_id, vt, enqueued_at, archived_at, read_ct, message)"
        " values (10, $1::text::timestamptz, $1::text::timestamptz, $1::text::timestamptz, 1, '1')",
        [at],
    )
    db.execute(
        "insert into postmill.failures (queue_name, msg_id, attempt, kind, started_at, failed_at)"
        " values ('tasks', 1, 1, 'error', $1::text::timestamptz, $1::text::timestamptz)",
        [at],
    )
    db.execute(
        "insert into postmill.dead_letters (queue_name, msg_id, read_ct, enqueued_at,"
        " attempts, kind, reason, died_at)"
        " values ('tasks', 11, 1, $1::text::timestamptz, 1, 'error', 'x', $1::text::timestamptz)",
        [at],
    )
    shown = cli("message", "list", "tasks", "--json")
    assert shown.code == 0, shown.err
    assert {each["msg_id"]: each["enqueued_at"] for each in shown.json} == {1: at, 10: at, 11: at}
    for command in (
        ["message", "show", "tasks", "1"],
        ["message", "show", "tasks", "10"],
        ["message", "list", "tasks"],
        ["queue", "list"],
        ["dead", "list"],
        ["dead", "show", "1"],
        ["top", "--once"],
        ["worker", "list"],
    ):
        answer = cli(*command)
        assert answer.code == 0, (command, answer.err)
    assert "fail" not in {each["status"] for each in cli("doctor", "--json").json}
