"""Indexes of searches from the command line: made, listed, checked, dropped, also with the queue."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.sql.asking import value

if TYPE_CHECKING:
    from tests.acceptance.conftest import Cli
    from tests.sql.asking import Database

PLACE = "payload.user.id"
THERE = "select count(*) from pg_class where relname like 'postmill\\_search\\_%'"


@pytest.fixture(autouse=True)
def tasks(db: Database) -> None:
    db.execute(b"select postmill.create_queue('tasks')")


def test_an_index_from_its_making_to_its_end(cli: Cli, db: Database) -> None:
    assert cli("index", "list").err.strip() == f"No index yet: postmill index create QUEUE {PLACE}"
    made = cli("index", "create", "tasks", PLACE, "--json")
    assert [(row["queue"], row["place"], row["state"]) for row in made.json] == [
        ("tasks", PLACE, "built")
    ] * 2
    assert "Building an index on pgmq.a_tasks" in made.err
    assert cli("index", "list", "tasks", "--json").json == made.json
    db.execute(f"drop index {made.json[0]['index_name']}".encode())
    (finding,) = [row for row in cli("doctor", "--json").json if row["check"] == "search indexes"]
    assert (finding["status"], f"{PLACE} of tasks (missing)" in finding["found"]) == ("warn", True)
    assert cli("index", "create", "tasks", PLACE).code == 0
    missing = cli("index", "drop", "tasks", "payload.user.name")
    assert (missing.code, "has no index on payload.user.name" in missing.err) == (3, True)  # before it asks
    asked = cli("index", "drop", "tasks", PLACE)
    assert (asked.code, f"drops the indexes of queue tasks on {PLACE}" in asked.err) == (4, True)
    assert cli("index", "drop", "tasks", PLACE, "--yes").code == 0
    assert value(db, THERE) == 0


def test_a_queue_takes_its_indexes_with_it(cli: Cli, db: Database) -> None:
    cli("index", "create", "tasks", PLACE)
    assert cli("queue", "drop", "tasks", "--yes").code == 0
    assert value(db, THERE) == 0
    assert cli("index", "list", "--json").json == []
