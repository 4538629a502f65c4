"""`postmill worker drain`: one worker, those of a machine, those of older versions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.acceptance.conftest import Cli


@pytest.fixture
def fleet(cli: Cli, db: Any) -> None:
    """A worker of each of three versions on two machines, and one that has stopped."""
    db.execute(
        "insert into postmill.workers (queue_name, function_name, hostname, pid, version, max_concurrent, "
        "last_heartbeat_at, stopped_at) select 'jobs', version, host, 1, version, 1, "
        "now() + interval '1 hour', case when version = '0.0.9' then now() end "
        "from (values ('0.0.9', 'a'), ('0.9.0', 'a'), ('0.10.0rc1', 'b'), ('0.10.0', 'b')) "
        "as worker (version, host)"
    )


def draining(db: Any) -> list[str]:
    found = db.execute("select version from postmill.workers where deprecated_at is not null order by 1")
    return [row["version"] for row in found.fetchall()]


@pytest.mark.parametrize(
    ("options", "asked"),
    [
        (("--host", "a"), ["0.9.0"]),
        (("--host", "b"), ["0.10.0", "0.10.0rc1"]),
        (("--older-than", "0.10"), ["0.10.0rc1", "0.9.0"]),
        (("--older-than", "0.10.0", "--host", "b"), ["0.10.0rc1"]),
        (("--older-than", "0.9"), []),
        (("--host", "c"), []),
    ],
)
def test_all_that_are_meant_and_no_others(
    cli: Cli, fleet: None, db: Any, options: tuple[str, ...], asked: list[str]
) -> None:
    answer = cli("worker", "drain", *options, "--json")
    assert sorted(row["version"] for row in answer.json) == asked
    assert draining(db) == asked


def test_it_is_said_which_ones_are_meant(cli: Cli, fleet: None, db: Any) -> None:
    assert cli("worker", "drain").code == 2
    assert cli("worker", "drain", "1f", "--host", "a").code == 2
    assert cli("worker", "drain", "--older-than", "new").code == 2
    assert draining(db) == []


def test_the_list_shows_hosts_and_versions(cli: Cli, fleet: None) -> None:
    said = {(row["host"], row["version"]) for row in cli("worker", "list", "--json").json}
    assert said == {("a", "0.9.0"), ("b", "0.10.0rc1"), ("b", "0.10.0")}
    assert "0.10.0rc1" in cli("worker", "list").out
