"""The commands, through PgBouncer in transaction mode that the address does not show."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from postmill.db.tools.connect import connect
from postmill.db.tools.migrate import migrate
from postmill.model.config.address import parse
from tests.empty_database import empty_url
from tests.faults.pooler import Pooler, pooler

if TYPE_CHECKING:
    from collections.abc import Iterator

    import psycopg

    from postmill.db.tools.migrate import Report
    from tests.acceptance.conftest import Cli

    Database = psycopg.Connection[dict[str, Any]]

__all__ = ["empty_url"]


@pytest.fixture
def pooled(database_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Pooler]:
    """PgBouncer in front of the test's database; commands know its address only."""
    with pooler(database_url) as made:
        monkeypatch.setenv("POSTMILL_DB_URL", made.url)
        yield made
        assert "ERROR" not in made.log


def test_messages_go_in_and_are_seen(cli_without_database: Cli, pooled: Pooler, db: Database) -> None:
    cli = cli_without_database
    assert cli("send", "mails", '{"to": 1}', "--create").code == 0
    assert cli("send", "mails", '{"to": 2}', "--delay", "60").code == 0
    (queue,) = cli("queue", "list", "--json").json
    assert (queue["queue"], queue["ready"], queue["scheduled"]) == ("mails", 1, 1)
    assert cli("queue", "pause", "mails").code == 0
    assert cli("worker", "list", "--json").json == []
    assert cli("dead", "list", "--json").json == []
    assert cli("queue", "purge", "mails", "--yes").code == 0
    assert db.execute("select count(*) as n from pgmq.q_mails").fetchone() == {"n": 0}


def test_doctor_names_it_and_what_it_costs(
    cli_without_database: Cli, pooled: Pooler, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is wrong; that workers poll is a warning, and with a direct address there is none."""

    def findings() -> dict[str, dict[str, str]]:
        return {row["check"]: row for row in cli_without_database("doctor", "--json").json}

    found = findings()
    assert {row["status"] for check, row in found.items() if check != "listen"} == {"pass"}
    assert "transaction mode" in found["pooler"]["found"]
    assert found["listen"]["status"] == "warn"
    assert "POSTMILL_LISTEN_URL" in found["listen"]["fix"]
    monkeypatch.setenv("POSTMILL_LISTEN_URL", database_url)
    assert findings()["listen"]["status"] == "pass"


def test_migrate_installs_all_of_it(
    cli_without_database: Cli, empty_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its lock lives as long as a transaction, so it holds here too: of four at once one works at a time."""
    with pooler(empty_url) as made:
        with ThreadPoolExecutor(4) as threads:
            reports = list(threads.map(migrated, [made.url] * 4))
        steps = [step for report in reports for step in report.steps]
        assert len(steps) == len(set(steps)) > 0
        assert left_in_sessions(made.url) == set()
        monkeypatch.setenv("POSTMILL_DB_URL", made.url)
        cli = cli_without_database
        assert cli("migrate", "--json").json == []
        assert cli("send", "tasks", "1", "--create").code == 0
        assert cli("migrate", "--uninstall", "-y").code == 0
        assert cli("send", "tasks", "1").code == 6


def migrated(url: str) -> Report:
    """What one of several migrators has done."""
    with connect(parse(url)) as connection:
        return migrate(connection)


def left_in_sessions(url: str) -> set[str]:
    """Settings that a session has kept for its next user, apart from those that the pooler itself sets, and
    one that each transaction sets anew.
    """
    with connect(parse(url)) as connection:
        rows = connection.execute("select name from pg_settings where source = 'session'").fetchall()
    return {row["name"] for row in rows} - {
        "application_name",
        "client_encoding",
        "TimeZone",
        "DateStyle",
        "transaction_isolation",
    }
