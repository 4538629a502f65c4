"""A worker that connects as a role with the documented grants does its work, and can do no more."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest
from click.testing import CliRunner

from postmill import Context, Dead, worker
from postmill.cli.main import root
from postmill.model.errors import QueueNotFound
from postmill.testing import drain

if TYPE_CHECKING:
    from collections.abc import Iterator

REFERENCE = Path(__file__).parents[2] / "docs" / "reference" / "sql-functions.md"


@worker(queue="mails", keep_results=True)
async def deliver(mail: dict[str, Any], ctx: Context) -> str:
    if mail.get("bad"):
        raise Dead("bad")
    async with ctx.transaction() as tx:
        await tx.send("mails_done", mail)
    return "delivered"


@pytest.fixture
def as_role(database_url: str, db: psycopg.Connection[dict[str, Any]]) -> Iterator[str]:
    """The database's address as that role. Roles are the server's, so each database has one of its own."""
    found = re.search(r"^### A role for workers$.*?```sql\n(.*?)```", REFERENCE.read_text(), re.S | re.M)
    assert found is not None
    with psycopg.connect(database_url, autocommit=True) as keeper:
        role = f"worker_{db.info.dbname}"
        keeper.execute(f"create role {role} login password 'secret'")
        for queue in ("mails", "mails_done"):
            db.execute("select postmill.create_queue($1)", (queue,))
        keeper.execute(found[1].replace("my_role", role).encode())
        parts = urlsplit(database_url)
        host = parts.netloc.rpartition("@")[2]
        yield urlunsplit(parts._replace(netloc=f"{role}:secret@{host}"))
        keeper.execute(f"drop owned by {role}")
        keeper.execute(f"drop role {role}")


@pytest.mark.parametrize("priorities", [False, True])
async def test_it_completes_dead_letters_and_sends(as_role: str, db: Any, priorities: bool) -> None:
    if priorities:
        db.execute("select postmill.enable_priority('mails')")
    for payload in ("{}", '{"bad": true}'):
        db.execute("select postmill.send('mails', $1::text::jsonb)", (payload,))
    account = await drain(deliver, database=as_role)
    account.raise_errors()
    assert (len(account.completed), [letter.reason for letter in account.dead]) == (1, ["bad"])
    assert db.execute("select count(*) as n from pgmq.q_mails_done").fetchone()["n"] == 1


def test_doctor_finds_that_it_has_all_it_needs(as_role: str) -> None:
    """Neither making nor dropping queues is asked of a worker."""
    answer = CliRunner().invoke(root, ["doctor", "--json", "--db-url", as_role])
    found = {row["check"]: row for row in json.loads(answer.stdout)}
    assert found["privileges"]["status"] == "pass", found["privileges"]["found"]
    assert answer.exit_code == 0


async def test_a_queue_that_it_may_not_make_is_named_with_the_cure(as_role: str) -> None:
    """Its owner makes it; the report is no bug of Postmill's."""

    @worker(queue="nowhere")
    async def lost(_mail: dict[str, Any]) -> None: ...

    with pytest.raises(QueueNotFound, match="may not make it") as told:
        await drain(lost, database=as_role)
    assert "postmill queue create nowhere" in told.value.hint


def test_it_can_neither_make_nor_drop_a_queue(as_role: str) -> None:
    with psycopg.connect(as_role, autocommit=True) as connection:
        for forbidden in ("create_queue('more')", "drop_queue('mails', true)"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(f"select postmill.{forbidden}".encode())
