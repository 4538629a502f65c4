"""`postmill migrate --roles`: what the command says, prints and refuses. What it grants: tests/migration."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from postmill.db.tools.role_grants import ALL_ROLES

if TYPE_CHECKING:
    import psycopg

    from tests.acceptance.conftest import Cli


def test_it_says_what_it_did_and_does_it_again(cli: Cli) -> None:
    for _ in range(2):
        assert cli("migrate", "--roles", "--json").json == [{"step": "roles"}]


def test_it_prints_the_sql_and_runs_nothing(cli: Cli, db: psycopg.Connection[dict[str, Any]]) -> None:
    printed = cli("migrate", "--roles", "--sql").out
    granted = "select has_schema_privilege('postmill_worker', 'postmill', 'usage') as granted"
    assert all(f"create role {role} nologin" in printed for role in ALL_ROLES)
    assert db.execute("select count(*) as n from postmill.components where name = 'roles'").fetchall() == [
        {"n": 0}
    ]
    db.execute(printed.encode())
    assert db.execute(granted.encode()).fetchall() == [{"granted": True}]


def test_removing_is_asked_first(cli: Cli, db: psycopg.Connection[dict[str, Any]]) -> None:
    cli("migrate", "--roles")
    assert cli("migrate", "--remove-roles", stdin="n\n").code != 0
    granted = "select has_schema_privilege('postmill_worker', 'postmill', 'usage') as granted"
    assert db.execute(granted.encode()).fetchall() == [{"granted": True}]


@pytest.mark.parametrize(
    "options",
    [
        ("--roles", "--remove-roles"),
        ("--roles", "--uninstall"),
        ("--sql", "--remove-roles"),
        ("--sql", "--uninstall"),
    ],
)
def test_what_excludes_each_other_is_refused(cli: Cli, options: tuple[str, str]) -> None:
    answer = cli("migrate", *options)
    assert answer.code == 2
    assert f"{options[0]} and {options[1]} exclude each other." in answer.err or (
        f"{options[1]} and {options[0]} exclude each other." in answer.err
    )
