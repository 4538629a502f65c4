"""Statements that were written for Vault and pg_net run unchanged, and no table has the value of a secret."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from postmill.db.tools.facades import named
from postmill.db.tools.migrate import migrate
from tests.service.calling import answered, making_calls, serving, until
from tests.service.commands import ended, firing

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import asyncpg

    from tests.service.calling import Target

PAGE = Path(__file__).parents[2] / "docs" / "coming-from" / "supabase-vault.md"
SECRET = "s3cret-value"
TABLES = """
select oid::regclass::text from pg_class
where relkind in ('r', 'm') and relnamespace::regnamespace::text !~ '^(pg_|information_schema)'
"""


@pytest.fixture
async def target() -> AsyncIterator[Target]:
    async with serving() as made:
        yield made


@pytest.fixture
def recipe(db: Any) -> str:
    """The statement of the page, with its secrets granted to the role that runs it."""
    migrate(db, wanted=[named("vault")])
    for name in ("service_key", "project_url"):
        db.execute(b"select postmill.grant_secret($1, current_user::name)", [name])
    (block,) = re.findall(r"^```sql\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.M | re.S)
    return str(block)


async def where_is(adb: asyncpg.Connection, text: str) -> list[str]:
    """The tables of which a row has ``text``."""
    tables = [row[0] for row in await adb.fetch(TABLES)]
    assert "postmill.calls" in tables
    looked = "select exists (select from {0} as looked where strpos(looked::text, $1) > 0)"
    return [table for table in tables if await adb.fetchval(looked.format(table), text)]


async def test_a_call_with_a_key_from_vault_arrives_with_the_key(
    database_url: str, adb: asyncpg.Connection, target: Target, recipe: str
) -> None:
    call_id = await adb.fetchval(recipe)
    assert await where_is(adb, "{{secret:service_key}}") == ["postmill.calls"]
    async with making_calls(database_url, secrets={"service_key": SECRET, "project_url": target.url}):
        found = await answered(adb, call_id)
    assert (found["status_code"], found["error_msg"]) == (200, None)
    (request,) = target.seen
    assert (request.path, request.headers["Authorization"]) == ("/functions/v1/hello", f"Bearer {SECRET}")
    assert json.loads(target.bodies[0]).keys() == {"at"}
    assert found["url"] == "{{secret:project_url}}/functions/v1/hello"
    assert await where_is(adb, SECRET) == []


async def test_a_cron_job_that_calls_a_function_with_a_key_from_vault(
    database_url: str, adb: asyncpg.Connection, target: Target, recipe: str
) -> None:
    """As the documentation of Supabase schedules functions."""
    await adb.execute("select cron.schedule('invoke-hello', '0 3 * * *', $1)", recipe)
    secrets = {"service_key": SECRET, "project_url": target.url}
    async with firing(database_url), making_calls(database_url, secrets=secrets):
        await adb.execute("select postmill.run_schedule('invoke-hello')")
        assert (await ended(adb, "invoke-hello"))["status"] == "succeeded"
        await until(lambda: adb.fetchval("select count(*) = 1 from net._http_response"))
    assert [request.headers["Authorization"] for request in target.seen] == [f"Bearer {SECRET}"]
    assert await where_is(adb, SECRET) == []


async def test_a_secret_that_was_granted_and_never_set_is_named(
    database_url: str, adb: asyncpg.Connection, target: Target, recipe: str
) -> None:
    call_id = await adb.fetchval(recipe)
    async with making_calls(database_url, secrets={"project_url": target.url}):
        found = await answered(adb, call_id)
    assert found["error_msg"] == "there is no secret service_key where the call is made"
    assert target.seen == []


async def test_a_key_that_was_not_granted_is_null_and_the_call_has_none(
    database_url: str, adb: asyncpg.Connection, target: Target, recipe: str
) -> None:
    """As with Vault, a name that is not there gives null: the header is null, not the name of a secret."""
    await adb.execute("select postmill.revoke_secret('service_key', current_user::name)")
    await adb.execute(recipe)
    assert json.loads(await adb.fetchval("select headers from postmill.calls"))["Authorization"] is None


async def test_the_real_vault_is_used_where_it_is(
    database_url: str, adb: asyncpg.Connection, target: Target
) -> None:
    """A schema stands in for it: its values go into the requests, as they do with pg_net."""
    await adb.execute(
        "create schema vault; create table vault.secrets (name text, secret text);"
        "create view vault.decrypted_secrets as select name, secret as decrypted_secret from vault.secrets"
    )
    await adb.execute(
        "insert into vault.secrets values ('service_key', $1), ('project_url', $2)", SECRET, target.url
    )
    (block,) = re.findall(r"^```sql\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.M | re.S)
    async with making_calls(database_url):
        assert (await answered(adb, await adb.fetchval(block)))["status_code"] == 200
    assert [request.headers["Authorization"] for request in target.seen] == [f"Bearer {SECRET}"]
