"""Several databases in one dashboard: each below its name, one way in, and none harms another."""

from __future__ import annotations

import asyncio
import re
import time
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

import httpx
import pytest

from postmill.api import several as api_several
from postmill.api.keys import ViewerKeys
from postmill.auth import viewer_token
from postmill.auth.keys import make
from postmill.dashboard import several
from postmill.dashboard.prefixed import Prefixed
from postmill.db.tools import revoked_keys
from postmill.model.databases.databases import Databases
from postmill.model.errors import InvalidOption
from tests import servers
from tests.dashboard.conftest import KEYS, OWN, words
from tests.dashboard.test_every_door import filled, posts, send
from tests.several import count

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from postmill.dashboard.security.keys import Keys

AWAY = "postgresql://nobody@127.0.0.1:1/nothing"
OPERATOR = {"authorization": "Bearer operators-key"}
READER = {"authorization": "Bearer readers-key"}


@asynccontextmanager
async def person_at(
    urls: dict[str, str], headers: Mapping[str, str] = OWN, prefix: str = "", keys: Keys = KEYS
) -> AsyncIterator[httpx.AsyncClient]:
    """A browser at the dashboard of these databases."""
    made = several(Databases.of(urls), keys=keys)
    transport = httpx.ASGITransport(Prefixed(made, prefix) if prefix else made)
    async with httpx.AsyncClient(
        transport=transport, base_url="http://127.0.0.1:8420", headers={**OWN, **headers}
    ) as person:
        yield person
    await made.close()


@pytest.mark.parametrize("prefix", ["", "/jobs"])
async def test_who_signs_in_once_sees_all_and_goes_from_one_to_the_other(
    urls: dict[str, str], prefix: str
) -> None:
    async with person_at(urls, prefix=prefix) as person:
        asked = await person.get(f"{prefix}/eu2/queues/mail")
        assert asked.headers["location"] == f"{prefix}/eu2/sign-in?next=/queues/mail"
        form = {"key": "operators-key", "next": "/queues/mail"}
        signed = await person.post(f"{prefix}/eu2/sign-in", data=form)
        assert signed.headers["location"] == f"{prefix}/eu2/queues/mail"
        assert f"Path={prefix or '/'};" in signed.headers["set-cookie"]
        listed = await person.get(f"{prefix}/")
        assert "eu1 1 0 0 0 0 0 0 0" in words(listed)
        assert "eu2 1 1 0 0 0 0 0 0" in words(listed)
        page = await person.get(f"{prefix}/eu2/messages")
        links = re.findall(r'(?:href|action|src)="(/[^"]*)"', page.text)
        assert f"{prefix}/eu1/messages" in links
        assert f"{prefix}/" in links
        assert [each for each in links if not each.startswith(f"{prefix}/")] == []
        assert {(await person.get(each)).status_code for each in links if "/static/" in each} == {200}
        await person.post(f"{prefix}/eu1/sign-out", data={})
        for path in ("/", "/eu1/", "/eu2/"):
            assert (await person.get(prefix + path)).status_code == 303


async def test_an_action_and_its_line_in_the_audit_are_in_the_database_of_its_path(
    urls: dict[str, str],
) -> None:
    async with person_at(urls, OPERATOR) as person:
        done = await person.post("/eu2/queues/mail/pause", data={"reason": "a look"})
        assert done.headers["location"] == "/eu2/queues/mail"
        assert "Path=/eu2;" in done.headers["set-cookie"]  # the notice is not shown beside another queue
        assert (await person.get("/eu2/api/v1/queues/mail")).json()["paused_at"]
        assert not (await person.get("/eu1/api/v1/queues/mail")).json()["paused_at"]
    assert [count(url, "postmill.audit") for url in urls.values()] == [0, 1]


async def test_another_path_is_another_role_for_nobody(urls: dict[str, str]) -> None:
    async with person_at(urls, READER) as person:
        assert (await person.post("/eu2/queues/mail/pause", data={"reason": "x"})).status_code == 403
        assert (await person.post("/eu2/api/v1/queues/mail/pause", json={})).status_code == 403
        assert "hunter2" not in (await person.get("/eu2/queues/mail/messages/1")).text
        assert "ada" in (await person.get("/eu2/queues/mail/messages/1")).text
        for path in ("/", "/eu2/", "/eu2/api/v1/queues", "/api/v1/databases"):
            assert (await person.get(path, headers={"host": "evil.example"})).status_code == 421
            assert (await person.get(path, headers={"authorization": ""})).status_code in {303, 401}
    async with person_at(urls, OPERATOR) as person:
        for path in ("/eu2/queues/mail/pause", "/eu2/api/v1/queues/mail/pause", "/theme", "/sign-in"):
            foreign = {"sec-fetch-site": "cross-site"}
            assert (await person.post(path, data={"reason": "x"}, headers=foreign)).status_code == 403
    assert [count(url, "postmill.audit") for url in urls.values()] == [0, 0]


async def test_a_key_that_one_database_knows_as_revoked_opens_neither_that_one_nor_the_list(
    urls: dict[str, str],
) -> None:
    project = make(time.time())
    keys = replace(KEYS, issued=ViewerKeys(project, time.time))
    key = viewer_token.issue(project, "ada", "operator", time.time(), 60)
    async with person_at(urls, {"authorization": f"Bearer {key}"}, keys=keys) as person:
        paths = ("/eu1/", "/eu2/", "/")
        assert [(await person.get(path)).status_code for path in paths] == [200, 200, 200]
        with servers.session(urls["eu2"]) as db:
            revoked_keys.revoke(db, "ada", time.time())
        assert [(await person.get(path)).status_code for path in paths] == [200, 303, 303]


async def test_a_session_that_one_database_knows_as_revoked_acts_on_nothing_there(
    urls: dict[str, str],
) -> None:
    project = make(time.time())
    keys = replace(KEYS, issued=ViewerKeys(project, time.time))
    key = viewer_token.issue(project, "ada", "operator", time.time(), 60)
    async with person_at(urls, keys=keys) as person:
        assert (await person.post("/sign-in", data={"key": key})).status_code == 303
        assert (await person.get("/eu2/")).status_code == 200
        with servers.session(urls["eu2"]) as db:
            revoked_keys.revoke(db, "ada", time.time())
        for method, path in posts():
            answer = await send(person, method, "/eu2" + filled(path))
            assert answer.status_code == 401 or path in {"/theme", "/sign-out"}, path
    assert count(urls["eu2"], "postmill.audit") == 0


async def test_one_that_is_away_is_named_and_the_other_is_as_ever(urls: dict[str, str]) -> None:
    async with person_at({**urls, "eu2": AWAY}, OPERATOR) as person:
        listed = await person.get("/")
        assert listed.status_code == 200
        assert "eu2 away The database can&#39;t be reached." in words(listed)
        assert AWAY not in listed.text
        assert (await person.get("/eu1/")).status_code == 200
        away = await person.get("/eu2/")
        assert (away.status_code, "can&#39;t be reached" in words(away)) == (503, True)
        assert 'href="/eu1/"' in away.text
        told = (await person.get("/api/v1/databases")).json()["items"]
        assert [(each["database"], each["figures"] is None) for each in told] == [
            ("eu1", False),
            ("eu2", True),
        ]


async def test_one_that_says_nothing_holds_up_neither_the_list_nor_the_other(
    urls: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A host that takes connections and says nothing, until it is gone."""
    monkeypatch.setattr(api_several, "LIMIT_S", 0.5)
    taken: list[asyncio.StreamWriter] = []
    silent = await asyncio.start_server(lambda _, writer: taken.append(writer), "127.0.0.1", 0)
    port = silent.sockets[0].getsockname()[1]
    url = f"postgresql://nobody@127.0.0.1:{port}/nothing?connect_timeout=60"
    async with person_at({**urls, "eu2": url}, OPERATOR) as person:
        its_own = asyncio.create_task(person.get("/eu2/"))
        assert "did not answer within 0.5 s" in words(await person.get("/"))
        assert (await person.get("/eu1/")).status_code == 200
        assert not its_own.done()
        silent.close()
        for writer in taken:
            writer.close()
        assert (await its_own).status_code == 503


async def test_the_api_of_each_is_below_its_name(urls: dict[str, str]) -> None:
    async with person_at(urls, OPERATOR) as person:
        (queue,) = (await person.get("/eu2/api/v1/queues?database=eu2")).json()["items"]
        assert (queue["queue"], queue["ready"]) == ("mail", 1)
        assert (await person.get("/eu2/api/v1/viewer")).json()["database"] == "eu2"
        assert (await person.get("/eu2/api/v1/queues?database=eu1")).status_code == 404
        lost = await person.get("/api/v1/queues")
        assert (lost.status_code, "/eu1/api/v1, /eu2/api/v1" in lost.json()["try"]) == (404, True)


def test_a_name_that_is_a_path_of_the_root_is_refused(urls: dict[str, str]) -> None:
    with pytest.raises(InvalidOption, match="can't show a database called api"):
        several(Databases.of({"api": urls["eu1"]}), keys=KEYS)
