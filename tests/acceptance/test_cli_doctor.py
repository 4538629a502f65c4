"""`postmill doctor`: each thing it looks at, made wrong once; every finding comes with its fix."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from postmill.db.tools import checks, queue_checks
from tests.sql.waiting import block, hold, live, park

if TYPE_CHECKING:
    from pathlib import Path

    from tests.acceptance.conftest import Cli

    Database = psycopg.Connection[dict[str, Any]]


@pytest.fixture(autouse=True)
def _patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a busy machine a round trip takes as long as to a database far away: neither is at fault here."""
    monkeypatch.setattr(checks, "FAR_S", 60.0)
    monkeypatch.setattr(checks, "LISTEN_TIMEOUT_S", 60.0)


def finding(cli: Cli, check: str, *arguments: str) -> dict[str, str]:
    """The one finding of ``check``."""
    (found,) = (row for row in cli("doctor", "--json", *arguments).json if row["check"] == check)
    return dict(found)


def test_a_healthy_database_passes_everything(cli: Cli) -> None:
    answer = cli("doctor", "--json", "--strict")
    assert answer.code == 0
    assert {row["status"] for row in answer.json} == {"pass"}
    assert {row["check"] for row in answer.json} == {"address", *checks.CHECKS, *checks.of_schema()}


def test_one_line_a_check_and_silence_with_quiet(cli: Cli) -> None:
    lines = cli("doctor").out.splitlines()
    assert len(lines) == 1 + len(checks.CHECKS) + len(checks.of_schema())
    quiet = cli("doctor", "-q")
    assert (quiet.code, quiet.out, quiet.err) == (0, "", "")


def test_a_queue_without_a_worker_is_a_warning(cli: Cli) -> None:
    cli("send", "tasks", "1", "--create")
    assert cli("doctor", "-q").code == 0
    strict = cli("doctor", "-q", "--strict")
    assert strict.code == 8
    assert "no worker for tasks (1 ready)" in strict.out
    assert "fix: postmill worker run" in strict.out


def test_a_paused_queue_with_work_is_a_warning(cli: Cli) -> None:
    cli("send", "tasks", "1", "--create")
    cli("queue", "pause", "tasks")
    found = finding(cli, "queues")
    assert (found["status"], found["fix"]) == ("warn", "postmill queue resume tasks")


def test_waiting_messages_without_a_worker_are_a_warning(cli: Cli, db: Database) -> None:
    cli("queue", "create", "tasks")
    park(db, "tasks")
    assert finding(cli, "queues")["found"] == "no worker for tasks (1 waiting)"


def test_places_without_a_claim_are_a_warning(cli: Cli, db: Database) -> None:
    cli("queue", "create", "tasks")
    hold(db, "tasks")
    assert finding(cli, "groups")["status"] == "pass"
    db.execute("delete from postmill.claims")
    found = finding(cli, "groups")
    assert (found["status"], found["found"]) == (
        "warn",
        "places that are held by claims which are gone: 1 in tasks",
    )
    assert found["fix"].startswith("postmill worker run")


def test_a_limit_that_only_older_workers_could_keep_is_a_warning(cli: Cli, db: Database) -> None:
    cli("queue", "create", "tasks")
    db.execute("select postmill.limit_groups('tasks', max_running => 1)")
    live(db, "tasks", version="0.0.9")
    found = finding(cli, "groups")
    assert found["status"] == "warn"
    assert found["found"].endswith("start no message that waits: tasks")
    live(db, "tasks", version="9.0.0")
    assert finding(cli, "groups")["status"] == "pass"


def test_messages_that_wait_for_a_dead_one_are_a_warning(cli: Cli, db: Database) -> None:
    cli("queue", "create", "tasks")
    waits = block(db, "tasks", ("mail", 4), on_dead="block", died=True)
    assert finding(cli, "dependents")["status"] == "pass"
    db.execute("update postmill.blocked set due_at = now() - interval '2 min'")
    found = finding(cli, "dependents")
    assert (
        found["found"]
        == f"they wait in vain: 1 in tasks for a message that is dead, {waits} for 4 of queue mail"
    )
    assert found["fix"] == (
        f"postmill dead list mail, then postmill dead replay; or postmill message cancel tasks {waits}"
    )


def test_a_paused_queue_is_a_warning_beside_others_and_while_a_worker_runs(cli: Cli, db: Database) -> None:
    """A worker on the queue, or another queue without one, hid that it was paused."""
    cli("send", "tasks", "1", "--create")
    cli("queue", "pause", "tasks")
    db.execute(
        "insert into postmill.workers (queue_name, function_name, hostname, pid, version, max_concurrent,"
        " last_heartbeat_at) values ('tasks', 'work', 'here', 1, '1', 1, now() + interval '1 hour')"
    )
    assert finding(cli, "queues")["found"] == "paused: tasks"
    cli("send", "lonely", "1", "--create")
    found = finding(cli, "queues")
    assert found["found"] == "no worker for lonely (1 ready); paused: tasks"
    assert found["fix"] == "postmill worker run MODULE:NAME; postmill queue resume tasks"


def test_dead_letters_are_a_warning(cli: Cli, db: Database) -> None:
    cli("queue", "create", "tasks")
    db.execute(
        "insert into postmill.dead_letters (queue_name, msg_id, read_ct, enqueued_at, attempts, kind, reason)"
        " values ('tasks', 1, 1, now(), 1, 'error', 'x')"
    )
    found = finding(cli, "dead letters")
    assert (found["status"], found["found"]) == ("warn", "1 in tasks")
    db.execute(
        "insert into postmill.dead_letters (queue_name, msg_id, read_ct, enqueued_at, attempts, kind, reason)"
        " select 'tasks', n, 1, now(), 1, 'error', 'x' from generate_series(2, 1500) as n"
    )
    assert finding(cli, "dead letters")["found"] == "1,000 or more in tasks"


def test_ids_that_are_given_out_again(cli: Cli, db: Database) -> None:
    """An unlogged queue begins at 1 after a crash, and its archive is still there."""
    cli("queue", "create", "tasks")
    assert finding(cli, "ids")["status"] == "pass"
    db.execute("insert into pgmq.a_tasks (msg_id, vt, message) values (20, now(), '{}')")
    found = finding(cli, "ids")
    assert (found["status"], found["found"]) == (
        "warn",
        "ids are given out again: tasks is at 1, its archive at 20",
    )
    db.execute(found["fix"].partition(";")[0])
    assert finding(cli, "ids")["status"] == "pass"
    db.execute("drop table pgmq.a_tasks")
    assert finding(cli, "ids")["status"] == "pass"


def test_priorities_that_no_worker_goes_by(cli: Cli, db: Database) -> None:
    """They were kept in silence: urgent messages waited behind a backlog, and nothing said why."""
    cli("queue", "create", "tasks")
    for header in ("0", "null", '"high"', '{"a": 1}'):
        db.execute(f"select pgmq.send('tasks', '1', '{{\"postmill-priority\": {header}}}'::jsonb)".encode())
    assert finding(cli, "priorities")["status"] == "pass"
    db.execute("select pgmq.send('tasks', '1', '{\"postmill-priority\": 9}'::jsonb)")
    found = finding(cli, "priorities")
    assert found["status"] == "warn"
    assert found["found"] == "tasks has messages with a priority, and is not served by it"
    db.execute(found["fix"].partition(": ")[2])
    assert finding(cli, "priorities")["status"] == "pass"
    db.execute("select pgmq.drop_queue('tasks'); select pgmq.create('tasks')")
    assert finding(cli, "priorities")["found"] == "tasks has lost the index of priorities"


def test_a_message_that_stays_ready_while_a_worker_is_idle(
    cli: Cli, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody's open transaction has locked it; the finding names that process."""
    monkeypatch.setattr(queue_checks, "LOCKING_S", 0.0)
    with psycopg.connect(database_url, autocommit=True) as db, psycopg.connect(database_url) as holder:
        db.execute("select postmill.create_queue('tasks'); select pgmq.send('tasks', '{}')")
        db.execute("update pgmq.q_tasks set vt = now() - interval '2 minutes'")
        holder.execute("select from pgmq.q_tasks for update")
        assert finding(cli, "left ready")["status"] == "pass"
        db.execute(
            "insert into postmill.workers"
            " (queue_name, function_name, hostname, pid, version, max_concurrent, last_heartbeat_at)"
            " values ('tasks', '', '', 1, '', 1, now() + interval '1 minute')"
        )
        found = finding(cli, "left ready")
        assert found["status"] == "warn"
        assert "tasks" in found["found"]
        assert str(holder.info.backend_pid) in found["fix"]


def test_an_old_transaction_is_named(cli: Cli, database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks, "LONG_TRANSACTION_S", 0.0)
    with psycopg.connect(database_url, application_name="forgotten") as holder:
        holder.execute("set transaction isolation level repeatable read")
        holder.execute("select count(*) from pgmq.meta")
        rows = checks_of(database_url)
        assert any("forgotten" in row["name"] and row["kind"] == "transaction" for row in rows)
        found = finding(cli, "vacuum")
    assert found["status"] == "warn"
    assert found["fix"]


def checks_of(url: str) -> list[dict[str, Any]]:
    """What the statement behind the check returns; other tests of this run may hold transactions too."""
    from psycopg.rows import dict_row

    from postmill.sql.catalog import statement

    with psycopg.connect(url, row_factory=dict_row) as connection:
        return connection.execute(statement("check_horizon").encode()).fetchall()


def test_a_missing_schema_is_exit_6(cli: Cli, db: Database) -> None:
    db.execute("drop schema postmill cascade")
    answer = cli("doctor", "--json")
    assert answer.code == 6
    found = {row["check"]: row for row in answer.json}
    assert found["schema"]["status"] == "fail"
    assert "postmill migrate" in found["schema"]["fix"]
    assert "queues" not in found


def test_an_unreachable_database_is_exit_5(cli_without_database: Cli) -> None:
    answer = cli_without_database("doctor", "-q", "--db-url", "postgresql://u:hunter2@127.0.0.1:1/db")
    assert answer.code == 5
    assert "fail" in answer.out
    assert "hunter2" not in answer.out


def test_a_bad_address_is_exit_2(cli_without_database: Cli) -> None:
    answer = cli_without_database("doctor", "--json", "--db-url", "postgresql://u:a@b@h/db")
    assert answer.code == 2
    assert answer.json[0]["status"] == "fail"


def test_missing_privileges_are_listed(cli: Cli, db: Database, database_url: str) -> None:
    role = f"guest_{db.info.dbname}"
    db.execute(f"create role {role} login")
    try:
        address = database_url.replace("//postgres@", f"//{role}@")
        found = finding(cli, "privileges", "--db-url", address)
        schema = finding(cli, "schema", "--db-url", address)
        listed = cli("queue", "list", "--db-url", address)
    finally:
        db.execute(f"drop role {role}")
    assert found["status"] == "fail"
    assert "USAGE on schema postmill" in found["found"]
    for fix in (found["fix"], schema["fix"], listed.err):
        assert role in fix
        assert "postmill docs sql-functions" in fix, "the cure is a role's grants, not those of an owner"
    assert "grant create on database" not in listed.err


def test_a_pooler_without_a_direct_address_can_not_listen(cli: Cli, database_url: str) -> None:
    """The address says pooler; the server behind it is the same."""
    separator = "&" if "?" in database_url else "?"
    pooled = f"{database_url}{separator}pgbouncer=true"
    found = finding(cli, "listen", "--db-url", pooled)
    assert (found["status"], "POSTMILL_LISTEN_URL" in found["fix"]) == ("warn", True)
    assert finding(cli, "pooler", "--db-url", pooled)["status"] == "pass"


def test_a_pooler_that_the_address_denies_is_found() -> None:
    """Each statement is answered by another server process, as behind a pooler in transaction mode."""

    class Scattered:
        pid = 0

        def execute(self, text: str, _: Any) -> Scattered:
            self.pid += 1
            return self

        def fetchall(self) -> list[dict[str, Any]]:
            return [{"pid": self.pid, "mark": ""}]

    from postmill.model.config.address import parse

    found = checks.pooler(Scattered(), parse("postgresql://h/db?pgbouncer=false"))  # type: ignore[arg-type]
    assert found.status == "fail"
    assert "pgbouncer=false" in found.fix


def test_a_queue_without_a_worker_names_this_projects_worker_or_function(cli: Cli, tmp_path: Path) -> None:
    """It said `postmill worker run MODULE:NAME` of a function, which the host runs."""
    (tmp_path / "functions").mkdir()
    source = "from postmill import worker\n@worker(queue='{}')\ndef work(p): ...\n"
    (tmp_path / "functions" / "scraper.py").write_text(source.format("pages"))
    (tmp_path / "jobs.py").write_text(source.format("mails"))
    for queue, fix in (("pages", "functions start scraper"), ("mails", "worker run jobs:work")):
        cli("send", queue, "1", "--create")
        (finding,) = (row for row in cli("doctor", "--json").json if row["check"] == "queues")
        assert f"postmill {fix}" in finding["fix"]
        assert queue in finding["about"]
    cli("queue", "pause", "mails")
    (finding,) = (row for row in cli("doctor", "--json").json if row["check"] == "queues")
    assert finding["fix"] == "postmill functions start scraper; postmill queue resume mails"
