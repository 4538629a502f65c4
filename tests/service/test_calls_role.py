"""Calls are made by a process whose role owns nothing and has the documented grants; doctor names what it
lacks.
"""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit, urlunsplit

import pytest

from postmill.db.tools import calls as tools
from postmill.db.tools.connect import connect
from postmill.model.config.address import Address
from postmill.sql.catalog import statement
from tests.service.calling import answered, making_calls, serving, until
from tests.serving import Serving

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import asyncpg

    from postmill.model.finding import Finding
    from tests.service.calling import Target

REFERENCE = Path(__file__).parents[2] / "docs" / "reference" / "sql-functions.md"
CALLS = "A role for processes that make calls"
WORKERS = "A role for workers"


def grants(heading: str, role: str) -> str:
    found = re.search(rf"^### {heading}$.*?```sql\n(.*?)```", REFERENCE.read_text(), re.S | re.M)
    assert found is not None
    return found[1].replace("my_role", role)


@pytest.fixture
async def target() -> AsyncIterator[Target]:
    async with serving() as made:
        yield made


@pytest.fixture
async def role(adb: asyncpg.Connection) -> AsyncIterator[str]:
    """A login of this database only: roles are the server's."""
    name = f"caller_{await adb.fetchval('select current_database()')}"
    await adb.execute(f"create role {name} login password 'secret'")
    yield name
    await adb.execute(f"drop owned by {name}")
    await adb.execute(f"drop role {name}")


@pytest.fixture
def as_role(database_url: str, role: str) -> str:
    """The database's address as that role."""
    parts = urlsplit(database_url)
    return urlunsplit(parts._replace(netloc=f"{role}:secret@{parts.netloc.rpartition('@')[2]}"))


def doctor(as_role: str) -> Finding:
    with connect(Address(as_role)) as connection:
        return tools.checked(connection, Address(as_role))


async def test_its_grants_are_enough_for_calls_and_their_secrets(
    adb: asyncpg.Connection, role: str, as_role: str, target: Target
) -> None:
    await adb.execute(grants(CALLS, role))
    await adb.execute("select postmill.grant_secret('KEY', current_user::name)")
    call_id = await adb.fetchval("select net.http_get($1)", target.url + "/{{secret:KEY}}")
    lost = await adb.fetchval("select postmill.call($1)", target.url + "/lost")
    await adb.execute(
        "update postmill.calls set attempts = 1, started_at = now(), lost_at = now() where call_id = $1", lost
    )
    async with making_calls(as_role, secrets={"KEY": "s3cret"}) as calling:
        assert (await answered(adb, call_id))["status_code"] == 200
        assert calling.trouble is None
    with connect(Address(as_role)) as own:
        own.execute(statement("calls_tidy"))
    assert (await answered(adb, lost))["outcome_unknown"]
    assert target.at == {"/s3cret": 1}
    await adb.execute("delete from postmill.call_responses")
    assert (await asyncio.to_thread(doctor, as_role)).status == "pass"


async def test_call_queues_are_worked_on_with_the_grants_of_a_worker(
    adb: asyncpg.Connection, role: str, as_role: str, target: Target
) -> None:
    await adb.execute("select postmill.grant_secret('KEY', current_user::name)")
    await adb.execute("select postmill.create_call_queue('jobs', url => $1)", target.url + "/{{secret:KEY}}")
    await adb.execute(grants(WORKERS, role))
    async with making_calls(as_role, secrets={"KEY": "s3cret"}):
        await adb.execute("select postmill.send('jobs', '{}')")
        await until(lambda: adb.fetchval("select count(*) = 1 from postmill.results"))
        call_id = await adb.fetchval("select net.http_get($1)", target.url + "/plain")
        assert (await answered(adb, call_id))["status_code"] == 200
    assert target.at == {"/s3cret": 1, "/plain": 1}
    assert (await asyncio.to_thread(doctor, as_role)).status == "pass"


async def test_a_role_that_is_no_workers_leaves_call_queues_to_others(
    adb: asyncpg.Connection,
    role: str,
    as_role: str,
    database_url: str,
    target: Target,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """It tried for ever, with an error each time."""
    await adb.execute(grants(CALLS, role))
    await adb.execute("select postmill.create_call_queue('jobs', url => $1)", target.url + "/job")
    await adb.execute("select postmill.send('jobs', '{}')")
    async with making_calls(as_role):
        call_id = await adb.fetchval("select net.http_get($1)", target.url + "/plain")
        assert (await answered(adb, call_id))["status_code"] == 200
        async with making_calls(database_url):
            await until(lambda: adb.fetchval("select count(*) = 1 from postmill.results"))
    assert target.at == {"/plain": 1, "/job": 1}
    assert [record.getMessage() for record in caplog.records if record.levelname == "ERROR"] == []


async def test_calls_run_as_a_user_starts_it(
    adb: asyncpg.Connection, role: str, as_role: str, target: Target, tmp_path: Path
) -> None:
    await adb.execute(grants(CALLS, role))
    call_id = await adb.fetchval("select net.http_get($1)", target.url + "/plain")
    environment = {"POSTMILL_DB_URL": as_role, "POSTMILL_CALL_ADDRESSES": "any"}
    process = await asyncio.to_thread(
        Serving, tmp_path, "calls", "run", environment=environment, listening=False
    )
    try:
        assert (await answered(adb, call_id))["status_code"] == 200
    finally:
        assert await asyncio.to_thread(process.stop) == 0
        await asyncio.to_thread(process.close)


async def test_serve_makes_calls_and_runs_call_queues_of_its_functions(
    adb: asyncpg.Connection, role: str, as_role: str, target: Target, tmp_path: Path
) -> None:
    (tmp_path / "functions").mkdir()
    (tmp_path / "functions" / "hello.py").write_text("async def handler(request):\n    return {}\n")
    await adb.execute("select postmill.create_call_queue('jobs', function => 'hello')")
    await adb.execute(grants(WORKERS, role))
    await adb.execute("select postmill.send('jobs', '{}')")
    call_id = await adb.fetchval("select net.http_get($1)", target.url + "/plain")
    environment = {"POSTMILL_DB_URL": as_role, "POSTMILL_CALL_ADDRESSES": "any"}
    process = await asyncio.to_thread(Serving, tmp_path, "serve", "--port", "0", environment=environment)
    try:
        assert (await answered(adb, call_id))["status_code"] == 200
        await until(lambda: adb.fetchval("select count(*) = 1 from postmill.results"))
    finally:
        await asyncio.to_thread(process.close)


@pytest.mark.parametrize(
    ("taken", "named"),
    [
        ("update on postmill.calls", "UPDATE on postmill.calls"),
        ("select on postmill.secret_grants", "SELECT on postmill.secret_grants"),
        ("execute on function postmill.tidy_calls", "EXECUTE on postmill.tidy_calls(integer)"),
    ],
)
async def test_doctor_names_what_is_missing(
    adb: asyncpg.Connection, role: str, as_role: str, taken: str, named: str
) -> None:
    await adb.execute(grants(CALLS, role))
    await adb.execute(f"revoke {taken} from {role}")
    found = await asyncio.to_thread(doctor, as_role)
    assert (found.status, found.found) == ("warn", f"{role} can't make calls: it lacks {named}")
    assert "grants for processes that make calls" in str(found.fix)
