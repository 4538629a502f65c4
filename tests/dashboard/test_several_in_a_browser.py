"""The list of several databases in a browser: it follows each of them, also while one is away."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest
from axe_playwright_python.sync_playwright import Axe

from tests import servers
from tests.dashboard.conftest import KEYS
from tests.dashboard.in_chromium import CHROMIUM, Served, opened

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import psycopg
    from playwright.sync_api import Browser

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="make test-deps installs chromium")


@contextmanager
def away(administrator: psycopg.Connection[Any], url: str) -> Iterator[None]:
    """A database that takes no connections, and has ended those it had."""
    with servers.session(url) as db:
        name = db.info.dbname
    its = f'alter database "{name}" allow_connections'
    administrator.execute(f"{its} false".encode())
    administrator.execute(
        "select pg_terminate_backend(pid) from pg_stat_activity where datname = %s", (name,)
    )
    try:
        yield
    finally:
        administrator.execute(f"{its} true".encode())


def test_the_list_follows_each_database_and_stays_while_one_is_away(
    chromium: Browser,
    urls: dict[str, str],
    administrator: psycopg.Connection[Any],
    said: list[str],
    tmp_path: Path,
) -> None:
    served = Served(urls, KEYS, tmp_path)
    try:
        page = opened(chromium, served, said)
        page.locator("[data-stream=live]").wait_for(state="attached")
        ready = page.locator("tr[data-key=database-eu2] td[data-label=Ready]")
        ready.get_by_text("1", exact=True).wait_for()
        with servers.session(urls["eu2"]) as db:
            db.execute("select postmill.send('mail', '{}')")
        ready.get_by_text("2", exact=True).wait_for()
        assert Axe().run(page).response["violations"] == []
        with away(administrator, urls["eu2"]):
            page.locator("tr[data-key=database-eu2]", has_text="away").wait_for()
            with servers.session(urls["eu1"]) as db:
                db.execute("select postmill.send('mail', '{}')")
            page.locator("tr[data-key=database-eu1] td[data-label=Ready]", has_text="1").wait_for()
        ready.get_by_text("2", exact=True).wait_for()
        assert said == []
    finally:
        served.stop()
