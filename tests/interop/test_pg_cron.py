"""The real pg_cron beside Postmill, on Debian's PostgreSQL 15: each keeps to its own."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import TYPE_CHECKING

import asyncpg
import pytest

from postmill.db.tools.migrate import migrate, uninstall
from tests import servers
from tests.service.commands import ended, firing
from tests.sql.asking import column, value

if TYPE_CHECKING:
    from collections.abc import Iterator

LIBRARY = Path("/usr/lib/postgresql/15/lib/pg_cron.so")
SETTINGS = {
    "shared_preload_libraries": "pg_cron",
    "cron.database_name": "postmill",
    "cron.use_background_workers": "on",
    "max_worker_processes": "20",
}
THEIRS = (
    "select proname from pg_proc where pronamespace = 'cron'::regnamespace and oid not in "
    "(select objid from pg_depend where deptype = 'e')"
)


@pytest.fixture
def with_pg_cron() -> Iterator[servers.PrivateServer]:
    """A server with pg_cron, and no Postmill yet."""
    if not LIBRARY.exists():
        assert os.environ.get("CI") != "true", "make test-deps brings pg_cron"
        pytest.skip("pg_cron is not installed: `make test-deps` brings it")
    private = servers.PrivateServer(servers.binaries_of(15), SETTINGS)
    try:
        private.start()
        yield private
    finally:
        private.close()


async def test_pg_cron_stays_as_it_is_and_commands_run_beside_it(with_pg_cron: servers.PrivateServer) -> None:
    url = with_pg_cron.url
    with servers.session(url) as db:
        db.execute(b"create extension pg_cron")
        assert "compat/cron" not in str(migrate(db).steps)
        assert column(db, THEIRS) == []
        assert value(db, "select cron.schedule('theirs', '0 3 * * *', 'select 1')") == 1
        assert column(db, "select name from postmill.schedule_list") == []
        db.execute(b"select postmill.schedule_sql('ours', '0 3 * * *', 'select 2')")
        db.execute(b"select postmill.run_schedule('ours')")
        assert column(db, "select jobname from cron.job") == ["theirs"]
    adb = await asyncpg.connect(url)
    async with firing(url):
        assert (await ended(adb, "ours"))["status"] == "succeeded"
    await adb.close()
    with servers.session(url) as db:
        uninstall(db)
        assert column(db, "select jobname from cron.job") == ["theirs"]


def test_pg_cron_that_comes_later_takes_the_name(with_pg_cron: servers.PrivateServer) -> None:
    """Its own functions were replaced by the next migration, whose facade had been there before."""
    with servers.session(with_pg_cron.url) as db:
        migrate(db)
        db.execute(b"drop schema cron cascade; create extension pg_cron")
        db.execute(
            b"update postmill.components set sha256 = 'of an older release' where name = 'compat/cron'"
        )
        migrate(db)
        assert column(db, THEIRS) == []
        uninstall(db)
        assert value(db, "select to_regclass('cron.job') is not null")


def test_after_pg_cron_has_gone_its_functions_come_with_the_next_migration(
    with_pg_cron: servers.PrivateServer,
) -> None:
    """As the page on moving says."""
    with servers.session(with_pg_cron.url) as db:
        db.execute(b"create extension pg_cron")
        migrate(db)
        db.execute(b"select cron.schedule('job', '0 3 * * *', 'select 1')")
        db.execute(b"create table moved as select jobname, schedule, command, username from cron.job")
        db.execute(b"drop extension pg_cron")
        migrate(db)
        db.execute(
            b"select cron.schedule(jobname, schedule, command) from moved where username = current_user"
        )
        assert column(db, "select name from postmill.schedule_list") == ["job"]


@pytest.mark.slow
@pytest.mark.timeout(180)
async def test_pg_cron_sends_to_a_queue_of_ours(with_pg_cron: servers.PrivateServer) -> None:
    """As the how-to says: it may go on sending. It looks once a minute."""
    adb = await asyncpg.connect(with_pg_cron.url)
    await adb.execute("create extension pg_cron")
    with servers.session(with_pg_cron.url) as db:
        migrate(db)
    await adb.execute("select postmill.create_queue('tasks')")
    await adb.execute("select cron.schedule('* * * * *', $$select postmill.send('tasks', '1')$$)")
    async with asyncio.timeout(150):
        while not await adb.fetchval("select count(*) from pgmq.q_tasks"):
            shown = await adb.fetch("select * from cron.job_run_details")
            assert not shown or shown[0]["status"] != "failed", shown
            await asyncio.sleep(0.2)
    await adb.close()
