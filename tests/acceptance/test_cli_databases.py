"""The command line on several databases: a project's file, and real databases behind it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from postmill.cli.exit_codes import Exit
from postmill.model.databases.rendezvous import home
from tests import servers
from tests.acceptance.test_cli_dashboard import found_in
from tests.serving import Serving
from tests.several import count, key_of, named_databases

if TYPE_CHECKING:
    from collections.abc import Iterator

    import psycopg

    from postmill.embedded import Server
    from tests.acceptance.conftest import Cli

NAMES = ("eu1", "eu2")
AWAY = "postgresql://nobody@127.0.0.1:1/nothing"
FILE = """
[databases]
eu1 = "{eu1}"
eu2 = "{eu2}"

[routes]
mail = {{ shard_by = "tenant", over = ["eu1", "eu2"] }}
audit = {{ over = ["eu2"] }}

[schedules]
database = "eu2"
"""
WORKER = """
from postmill import worker

@worker(queue="mail")
async def deliver(payload: dict[str, str]) -> None: ...
"""


@pytest.fixture
def urls(shared_server: Server, administrator: psycopg.Connection[Any]) -> Iterator[dict[str, str]]:
    with named_databases(administrator, shared_server, *NAMES, queues=["mail"]) as made:
        yield made


@pytest.fixture
def project(urls: dict[str, str], cli_without_database: Cli) -> Cli:
    Path("postmill.toml").write_text(FILE.format(**urls))
    return cli_without_database


def test_a_message_is_sent_to_the_home_of_its_key(project: Cli, urls: dict[str, str]) -> None:
    assert project("send", "mail", '{"tenant": "acme"}').code == Exit.OK
    assert project("send", "mail", "{}", "--shard-key", "acme").code == Exit.OK
    assert project("send", "audit", "{}", "--create").code == Exit.OK
    assert count(urls[home("acme", NAMES)], "pgmq.q_mail") == 2
    assert count(urls["eu2"], "pgmq.q_audit") == 1


def test_what_lives_elsewhere_or_nowhere_is_told(project: Cli) -> None:
    there = key_of("eu2", NAMES)
    answer = project("send", "mail", "{}", "--shard-key", there, "--database", "eu1")
    assert (answer.code, "lives in database eu2" in answer.err) == (Exit.REFUSED, True)
    assert "needs a key" in project("send", "mail", "{}").err
    assert "Did you mean eu1?" in project("queue", "list", "--database", "eu11").err


def test_a_queue_is_created_where_its_messages_live(project: Cli, urls: dict[str, str]) -> None:
    """The hint of a send that finds no queue is followed: it made one in the main database, where no
    message of the route goes.
    """
    assert "postmill queue create audit" in project("send", "audit", "{}").err
    (row,) = project("queue", "create", "audit", "--json").json
    assert (row["database"], row["created"]) == ("eu2", True)
    assert project("send", "audit", "{}").code == Exit.OK
    rows = project("queue", "create", "mail", "--json").json
    assert [(row["database"], row["created"]) for row in rows] == [("eu1", False), ("eu2", False)]
    assert "looked in eu1; --database" in project("queue", "pause", "audit").err


def test_a_worker_is_drained_by_its_id_wherever_it_is_listed(
    project: Cli, urls: dict[str, str], spawn: Any
) -> None:
    """The id that `worker list` shows was looked for in the main database alone."""
    Path("mailing.py").write_text(WORKER)
    child = spawn("worker", "run", "mailing:deliver", "--database", "eu2")
    next(line for line in child.stderr if "worker.started" in line)
    (row,) = project("worker", "list", "--json").json
    assert project("worker", "drain", row["worker_id"][:8]).code == Exit.OK
    _, err = child.communicate(timeout=60)
    assert child.returncode == 0, err
    assert "is running" in project("worker", "drain", row["worker_id"]).err


def test_lists_show_all_databases_or_the_chosen_one(project: Cli) -> None:
    project("send", "mail", "{}", "--shard-key", key_of("eu2", NAMES))
    rows = project("queue", "list", "--json").json
    assert [(row["database"], row["queue"], row["ready"]) for row in rows] == [
        ("eu1", "mail", 0),
        ("eu2", "mail", 1),
    ]
    (row,) = project("queue", "list", "--json", "--database", "eu2").json
    assert (row["queue"], "database" in row) == ("mail", False)
    frame = project("top", "--json", "--interval", "0.1").json
    assert sorted(queue["queue"] for queue in frame["queues"]) == ["eu1/mail", "eu2/mail"]


def test_what_is_away_is_named_and_left_out(urls: dict[str, str], cli_without_database: Cli) -> None:
    Path("postmill.toml").write_text(FILE.format(eu1=urls["eu1"], eu2=AWAY))
    answer = cli_without_database("queue", "list", "--json")
    assert (answer.code, [row["database"] for row in answer.json]) == (Exit.OK, ["eu1"])
    assert "Without eu2" in answer.err
    found = cli_without_database("doctor", "--json")
    assert found.code == Exit.FAILED
    failed = [each["found"] for each in found.json if each["status"] == "fail"]
    assert [each.partition(":")[0] for each in failed] == ["eu2"]


def test_one_without_a_schema_is_named_and_left_out_and_ends_the_start_of_workers(
    urls: dict[str, str], shared_server: Server, administrator: Any, cli_without_database: Cli, spawn: Any
) -> None:
    """Each of these ended with "This database has no Postmill schema.", and no word on which one."""
    Path("mailing.py").write_text(WORKER)
    with servers.cloned_by(administrator, shared_server.url, "template0") as empty:
        Path("postmill.toml").write_text(FILE.format(eu1=urls["eu1"], eu2=empty))
        said = "Database eu2 has no Postmill schema. Run: postmill migrate --database eu2"
        for command in (["queue", "list"], ["worker", "list"], ["route", "status"]):
            answer = cli_without_database(*command, "--json")
            assert (answer.code, {row["database"] for row in answer.json} <= {"eu1"}) == (Exit.OK, True)
            assert f"Without eu2: {said}" in answer.err
        worker = spawn("worker", "run", "mailing:deliver")
        _, told = worker.communicate(timeout=60)
        assert (worker.returncode, "Database eu2 has no" in told) == (Exit.SCHEMA, True), told
        chosen = cli_without_database("queue", "list", "--database", "eu2")
        assert (chosen.code, "Database eu2 has no" in chosen.err) == (Exit.SCHEMA, True)
        assert cli_without_database("migrate", "--database", "eu2").code == Exit.OK
        assert "Without" not in cli_without_database("queue", "list").err


def test_metrics_are_those_of_all_databases(project: Cli, urls: dict[str, str]) -> None:
    """They were those of the main one, without a remark."""
    project("send", "mail", '{"tenant": "acme"}')
    ready = {name: float(home("acme", NAMES) == name) for name in NAMES}
    said = project("metrics").out.splitlines()
    for name in NAMES:
        assert f'postmill_queue_messages{{queue="{name}/mail",state="ready"}} {ready[name]}' in said
        assert f'postmill_queue_desired_workers{{queue="{name}/mail"}} {ready[name]}' in said
        assert f'postmill_database_up{{database="{name}"}} 1.0' in said
    assert [row["queue"] for row in project("metrics", "--json").json] == ["eu1/mail", "eu2/mail"]
    assert 'queue="mail"' in project("metrics", "--database", "eu2").out


def test_metrics_say_which_database_is_away(urls: dict[str, str], cli_without_database: Cli) -> None:
    Path("postmill.toml").write_text(FILE.format(eu1=urls["eu1"], eu2=AWAY))
    answer = cli_without_database("metrics")
    assert (answer.code, "Without eu2" in answer.err) == (Exit.OK, True)
    assert 'postmill_database_up{database="eu2"} 0.0' in answer.out.splitlines()
    assert ('queue="eu1/mail"' in answer.out, 'queue="eu2/mail"' in answer.out) == (True, False)
    Path("postmill.toml").write_text(FILE.format(eu1=AWAY.replace("nobody", "somebody"), eu2=AWAY))
    assert cli_without_database("metrics").code == Exit.UNREACHABLE


def test_schedules_are_looked_for_where_they_live(project: Cli, urls: dict[str, str]) -> None:
    assert project("schedule", "add", "nightly", "@daily", "mail", "{}").code == Exit.OK
    assert [count(url, "postmill.schedules") for url in urls.values()] == [0, 1]
    assert [row["schedule"] for row in project("schedule", "list", "--json").json] == ["nightly"]


def test_migrate_gives_each_its_name_and_doctor_finds_another_one(project: Cli, urls: dict[str, str]) -> None:
    assert project("migrate").code == Exit.OK
    names = [each["found"] for each in project("doctor", "--json").json if each["check"] == "name"]
    assert names == ["eu1: it knows its name", "eu2: it knows its name"]
    Path("postmill.toml").write_text(FILE.format(eu1=urls["eu2"], eu2=urls["eu1"]))
    assert "is called eu2, and not eu1" in project("migrate").err
    wrong = [each for each in project("doctor", "--json").json if each["check"] == "name"]
    assert [each["status"] for each in wrong] == ["fail", "fail"]


def test_the_dashboard_shows_all_and_a_key_is_revoked_in_each(project: Cli, urls: dict[str, str]) -> None:
    with Path("postmill.toml").open("a") as file:
        file.write("[dashboard]\nport = 0\n")
    with Serving(
        Path.cwd(), "dashboard", environment={"POSTMILL_DASHBOARD": "on"}, listening=False
    ) as process:
        link = found_in(process.said("Dashboard: "))
        with httpx.Client(follow_redirects=True) as person:
            assert "Databases" in person.get(link).text
            base = link.partition("/sign-in")[0]
            assert person.get(f"{base}/eu2/queues/mail").status_code == 200
        key = project("keys", "create", "ada")
        look = {"authorization": f"Bearer {key.out.strip()}"}
        assert httpx.get(f"{base}/eu2/api/v1/queues", headers=look).status_code == 200
        assert project("keys", "revoke", "ada").code == Exit.OK
        found = [httpx.get(f"{base}/{name}/api/v1/queues", headers=look).status_code for name in NAMES]
        assert found == [401, 401]
        assert process.stop() == 0
    Path("postmill.toml").write_text(FILE.format(eu1=urls["eu1"], eu2=AWAY))
    partly = project("keys", "revoke", "ada")
    assert "Revoked in eu1, and not in eu2." in partly.err
    assert partly.code != Exit.OK


def test_a_worker_process_works_on_both_until_both_are_empty(
    project: Cli, urls: dict[str, str], spawn: Any
) -> None:
    Path("mailing.py").write_text(WORKER)
    for name in NAMES:
        for _ in range(3):
            project("send", "mail", "{}", "--shard-key", key_of(name, NAMES))
    child = spawn("worker", "run", "mailing:deliver", "--until-empty")
    _, err = child.communicate(timeout=100)
    assert child.returncode == 0, err
    assert [count(url, "pgmq.a_mail") for url in urls.values()] == [3, 3]


def test_dev_runs_workers_on_both(project: Cli, urls: dict[str, str], spawn: Any) -> None:
    Path("mailing.py").write_text(WORKER)
    child = spawn("dev", "--no-reload")
    started = 0
    for line in child.stderr:
        started += "worker.started" in line and ("eu1/mail" in line or "eu2/mail" in line)
        if started == 2:
            break
    child.terminate()
    _, err = child.communicate(timeout=60)
    assert (started, child.returncode) == (2, 0), err
