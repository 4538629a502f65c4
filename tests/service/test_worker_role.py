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
from postmill.testing import drain

if TYPE_CHECKING:
    from collections.abc import Iterator

REFERENCE = Path(__file__).parents[2] / "docs" / "reference" / "sql-functions.md"
ROLE = "postmill_test_worker"


@worker(queue="mails", keep_results=True)
async def deliver(mail: dict[str, Any], ctx: Context) -> str:
    if mail.get("bad"):
        raise Dead("bad")
    async with ctx.transaction() as tx:
        await tx.send("mails_done", mail)
    return "delivered"


@pytest.fixture
def as_role(database_url: str, db: psycopg.Connection[dict[str, Any]]) -> Iterator[str]:
    """The database's address as that role. One test at a time: roles are shared."""
    found = re.search(r"^### A role for workers$.*?```sql\n(.*?)```", REFERENCE.read_text(), re.S | re.M)
    assert found is not None
    with psycopg.connect(database_url, autocommit=True) as keeper:
        keeper.execute(f"select pg_advisory_lock(hashtext('{ROLE}'))")
        keeper.execute(f"drop role if exists {ROLE}")
        keeper.execute(f"create role {ROLE} login password 'secret'")
        for queue in ("mails", "mails_done"):
            db.execute("select postmill.create_queue($1)", (queue,))
        keeper.execute(found[1].replace("my_role", ROLE).encode())
        parts = urlsplit(database_url)
        host = parts.netloc.rpartition("@")[2]
        yield urlunsplit(parts._replace(netloc=f"{ROLE}:secret@{host}"))
        keeper.execute(f"drop owned by {ROLE}")
        keeper.execute(f"drop role {ROLE}")


async def test_it_completes_dead_letters_and_sends(as_role: str, db: Any) -> None:
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


def test_it_can_neither_make_nor_drop_a_queue(as_role: str) -> None:
    with psycopg.connect(as_role, autocommit=True) as connection:
        for forbidden in ("create_queue('more')", "drop_queue('mails', true)"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(f"select postmill.{forbidden}".encode())
