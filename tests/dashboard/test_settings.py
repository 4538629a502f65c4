"""The page of settings, and what is left out because of one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from postmill.dashboard.application import application
from postmill.model.errors import InvalidOption
from tests.dashboard.conftest import KEYS, client_of, words

if TYPE_CHECKING:
    import httpx
    import psycopg

    Db = psycopg.Connection[dict[str, Any]]


async def test_it_says_what_is_installed_and_how_long_things_are_kept(
    browser: httpx.AsyncClient, db: Db
) -> None:
    db.execute("select postmill.create_queue('a'), postmill.create_queue('b'), postmill.create_queue('c')")
    db.execute("select postmill.set_retention('c', '30 days', archive_max_rows => 12345)")
    said = words(await browser.get("/settings"))
    (server,) = db.execute("select current_setting('server_version') as version").fetchall()
    assert f"PostgreSQL {server['version']}" in said
    assert "schema postmill installed" in said
    assert "a and 1 more 7 d" in said
    assert "c 30 d 12,345 30 d" in said
    assert "passphrase" in said
    assert "may act" in said


async def test_a_schema_that_is_behind_is_told_and_so_is_what_to_do(
    browser: httpx.AsyncClient, db: Db
) -> None:
    db.execute("delete from postmill.components where name like 'functions/%'")
    said = words(await browser.get("/settings"))
    assert "postmill migrate" in said
    told = (await browser.get("/api/v1/settings")).json()
    assert {each["part"]: each["state"] for each in told["parts"]}["schema postmill"] == "outdated"
    assert {each["check"]: each["status"] for each in told["checks"]}["schema"] == "fail"


async def test_a_reader_sees_it_without_any_key_or_address(readers: httpx.AsyncClient, db: Db) -> None:
    for path in ("/settings", "/api/v1/settings"):
        answer = await readers.get(path)
        assert answer.status_code == 200
        for secret in (*KEYS.operator, *KEYS.reader, KEYS.signing, "postgresql://"):
            assert secret not in answer.text
    assert "looks only" in words(await readers.get("/settings"))


async def test_a_login_that_lacks_rights_is_told_which(database_url: str, db: Db) -> None:
    """It sees the page all the same: whoever has to mend it needs to read what is missing."""
    name = f"bare_{db.info.backend_pid}"
    db.execute(f"create role {name} login")
    try:
        dashboard = application(db_url=database_url.replace("postgres@", f"{name}@"), keys=KEYS)
        async with client_of(dashboard, key="readers-key") as client:
            told = (await client.get("/api/v1/settings")).json()
        await dashboard.close()
    finally:
        db.execute(f"drop role {name}")
    assert told["parts"] == []
    checks = {each["check"]: each for each in told["checks"]}
    assert checks["schema"]["status"] == "fail"
    assert "USAGE on schema postmill" in checks["privileges"]["found"]


async def test_the_theme_is_chosen_without_javascript(browser: httpx.AsyncClient) -> None:
    answer = await browser.post("/theme", data={"theme": "dark"}, headers={"referer": "http://x/settings"})
    assert (answer.status_code, answer.headers["location"]) == (303, "/settings")
    assert 'data-theme="dark"' in (await browser.get("/settings")).text
    await browser.post("/theme", data={"theme": ""})
    assert "data-theme" not in (await browser.get("/settings")).text


SECRETS = '{"IBAN": "DE0012345", "deep": [{"date-of-birth": "1815-12-10"}], "password": "hunter2", "n": 1}'


async def test_names_that_a_project_adds_are_left_out_beside_those_that_are_known(
    database_url: str, db: Db
) -> None:
    db.execute("select postmill.create_queue('mail'), postmill.send('mail', $1::jsonb)", (SECRETS,))
    shown = {}
    for names in ((), ("iban", "date_of_birth")):
        dashboard = application(db_url=database_url, keys=KEYS, redact=names)
        async with client_of(dashboard, key="operators-key") as client:
            pages = ["/queues/mail/messages/1", "/queues/mail/messages", "/api/v1/queues/mail/messages/1"]
            shown[names] = "".join([(await client.get(path)).text for path in pages])
            told = (await client.get("/api/v1/settings")).json()["redacted"]
            assert set(names) <= set(told)
            assert "password" in told
        await dashboard.close()
    assert "DE0012345" in shown[()]  # the control
    for secret in ("DE0012345", "1815-12-10", "hunter2"):
        assert secret not in shown["iban", "date_of_birth"]


@pytest.mark.parametrize("name", ["", "--", "\u05e9\u05dd"])
def test_a_name_that_would_leave_out_nothing_is_refused(database_url: str, name: str) -> None:
    with pytest.raises(InvalidOption, match="names no secret"):
        application(db_url=database_url, keys=KEYS, redact=[name])
