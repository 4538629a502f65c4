"""What a process that makes calls tells orchestrators, Prometheus and people."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import aiohttp

from postmill.calls.calls_probe import CallsProbe
from postmill.db.tools import calls as tools
from postmill.db.tools.connect import connect
from postmill.model.config.address import Address
from tests.service.calling import answered, answering, making_calls, serving

if TYPE_CHECKING:
    import asyncpg


async def test_calls_in_flight_and_failing_hosts_are_told(database_url: str, adb: asyncpg.Connection) -> None:
    async with serving() as target, making_calls(database_url) as calling:
        probe = CallsProbe(calling, "127.0.0.1", 0)
        urls: list[str] = []
        calling.events.listeners.append(lambda _, fields: urls.extend(filter(None, [fields.get("url")])))
        await probe.start()
        target.answers |= {"/down": answering(503), "/slow": target.hang}
        await answered(adb, await adb.fetchval("select net.http_get($1)", target.url + "/down"))
        await answered(adb, await adb.fetchval("select net.http_get($1)", target.url + "/up"))
        target.arrived.clear()
        await adb.execute("select net.http_get($1)", target.url + "/slow")
        await target.arrived.wait()

        async with aiohttp.ClientSession() as session, session.get(urls[0] + "/metrics") as response:
            figures = await response.text()
        assert "postmill_calls_running 1.0" in figures
        assert 'postmill_calls_total{outcome="succeeded"} 1.0' in figures
        assert 'postmill_calls_total{outcome="error_status"} 1.0' in figures
        assert f'postmill_calls_failed_total{{host="{target.url}"}} 1.0' in figures
        async with aiohttp.ClientSession() as session, session.get(urls[0] + "/ready") as response:
            assert response.status == 200

        with connect(Address(database_url)) as connection:
            (host,) = await asyncio.to_thread(tools.hosts, connection)
            assert host == {
                "host": target.url,
                "running": 1,
                "waiting": 0,
                "failed": 1,
                "last_error": "HTTP 503",
            }
            found = await asyncio.to_thread(tools.checked, connection, Address(database_url))
            assert (found.status, target.url in found.found) == ("warn", True)
        target.release.set()
        await probe.stop()


async def test_calls_that_nothing_makes_are_told_by_doctor(
    database_url: str, adb: asyncpg.Connection
) -> None:
    await adb.execute("select net.http_get('https://example.com')")
    await adb.execute("update postmill.calls set due_at = due_at - interval '2 minutes'")
    with connect(Address(database_url)) as connection:
        found = await asyncio.to_thread(tools.checked, connection, Address(database_url))
    assert found.status == "warn"
    assert "postmill calls run" in str(found.fix)
