"""``postmill migrate --facade``, ``--remove-facade`` and ``--status``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    import psycopg

    from tests.acceptance.conftest import Cli


def states(cli: Cli) -> dict[str, str]:
    """What ``--status`` shows."""
    return {each["part"]: each["state"] for each in cli("migrate", "--status", "--json").json}


def test_two_facades_come_and_one_goes(cli: Cli) -> None:
    added = cli("migrate", "--facade", "pgmq_public", "--facade", "vault", "--json")
    assert added.json == [{"step": "facade pgmq_public"}, {"step": "facade vault"}]
    assert cli("migrate", "--facade", "vault").err == "Nothing to do.\n"
    assert cli("migrate", "--remove-facade", "vault", "--json").json == [{"step": "removed facade vault"}]
    assert states(cli) | {"facade vault": "available"} == states(cli)
    assert states(cli)["facade pgmq_public"] == "installed"
    assert cli("migrate", "--remove-facade", "vault").err == "Nothing to do.\n"


def test_status_shows_what_is_installed_and_what_is_to_do(cli: Cli, db: psycopg.Connection[Any]) -> None:
    found = states(cli)
    assert {found[part] for part in ("schema postmill", "pgmq", "facade cron", "facade net")} == {"installed"}
    told = cli("migrate", "--status").out
    assert "postmill migrate --facade vault" in told
    db.execute("drop schema postmill cascade")
    found = states(cli)
    assert (found["schema postmill"], found["pgmq"]) == ("missing", "installed")


def test_a_name_that_is_taken_is_told_and_nothing_changes(cli: Cli, db: psycopg.Connection[Any]) -> None:
    db.execute("create schema vault")
    answer = cli("migrate", "--facade", "vault", "--facade", "pgmq_public")
    assert (answer.code, answer.error_code) == (4, "refused")
    assert "The schema vault is there already" in answer.err
    assert states(cli)["facade pgmq_public"] == "available"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--facade", "valt"), "Did you mean vault"),
        (("--facade", "cron"), "no matter of choice"),
        (("--remove-facade", "net"), "no matter of choice"),
        (("--facade", "vault", "--remove-facade", "vault"), "exclude each other"),
        (("--status", "--sql"), "exclude each other"),
        (("--uninstall", "--status"), "exclude each other"),
    ],
)
def test_what_does_not_go_together_is_refused(cli: Cli, arguments: tuple[str, ...], says: str) -> None:
    answer = cli("migrate", *arguments)
    assert (answer.code, answer.error_code) == (2, "invalid-option")
    assert says in answer.err


def test_the_printed_script_has_the_facade(cli: Cli) -> None:
    printed = cli("migrate", "--sql", "--facade", "pgmq_public").out
    assert "create or replace function pgmq_public.pop(" in printed
    assert "create or replace function postmill.send(" not in printed
