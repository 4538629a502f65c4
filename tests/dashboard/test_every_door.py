"""Every path that the dashboard and the API answer, tried by those who may not act, and with names and
parameters of which nothing good can come. The paths are those that are declared: a new one is tried too.
"""

from __future__ import annotations

import inspect
import logging
import time
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

import httpx
import msgspec
import pytest

from postmill.api.route import RESOURCES
from postmill.dashboard.application import application
from postmill.dashboard.page import ACTIONS, PAGES
from postmill.dashboard.security.keys import Keys, Opened
from tests.dashboard.conftest import KEYS, OWN

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    import psycopg

    from postmill.dashboard.application import Dashboard

    Db = psycopg.Connection[dict[str, Any]]

API = "/api/v1"
HARMLESS = {
    "queue": "mail",
    "kind": "cancel",
    "schedule": "nightly",
    "flow": "shop",
    "function": "hello",
    "step": "a",
    "fingerprint": "0f",
    "worker_id": "a6f0a2f2-0000-4000-8000-000000000000",
}
"""What stands for the names of a path; 1 for those that are ids."""
HOSTILE = {
    "nul": "%00",
    "long": "x" * 3000,
    "unicode": "%E2%80%AE%D7%A9%F0%9F%92%A9",
    "no utf-8": "%FF%ED%A0%80",
    "up": "%2e%2e%2f%2e%2e",
    "negative": "-1",
    "2^63": "9223372036854775808",
    "markup": "%3Cscript%3E%27%22",
    "empty": "",
}
PARAMETERS = set(
    """q state cursor before limit span zone step of like all whole version steer queue kind target""".split()  # noqa: SIM905 - likewise
)
"""Names that some page reads of its address."""


def filled(path: str, name: str = "", value: str = "") -> str:
    """The path with this value for the name, and harmless ones for the others."""
    parts = path.split("/")
    return "/".join(
        part
        if not part.startswith("{")
        else value
        if part == f"{{{name}}}"
        else HARMLESS.get(part[1:-1], "1")
        for part in parts
    )


def read_by(declared: object, names: Iterable[str]) -> list[str]:
    """Those of the names that stand in the file of a page or an action."""
    source = inspect.getsource(inspect.getmodule(declared) or object)
    return [name for name in names if f'"{name}"' in source]


def names_in(path: str) -> list[str]:
    return [part[1:-1] for part in path.split("/") if part.startswith("{")]


def posts() -> Iterator[tuple[str, str]]:
    """All that changes something, or would show what is secret."""
    yield from (("POST", each.path) for each in ACTIONS)
    yield from ((each.method, API + each.path) for each in RESOURCES if each.method != "GET")
    yield from (("POST", path) for path in ("/sign-out", "/theme"))


def ways() -> Iterator[tuple[str, str]]:
    """All there is."""
    yield from (("GET", each.path) for each in PAGES)
    yield from ((each.method, API + each.path) for each in RESOURCES if each.method == "GET")
    yield from posts()


async def send(client: httpx.AsyncClient, method: str, path: str) -> httpx.Response:
    """With a body that says nothing, in the form that the path takes."""
    body: dict[str, Any] = (
        {} if method in {"GET", "DELETE"} else {"json": {}} if API in path else {"data": {"": ""}}
    )
    return await client.request(method, path, **body)


@pytest.fixture(autouse=True)
def nothing_is_logged(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """A fault of ours is logged, whatever is answered."""
    with caplog.at_level(logging.ERROR):
        yield
    assert caplog.records == []


def changed(db: Db) -> dict[str, Any]:
    """What would be another one if something had been done or shown."""
    found = db.execute(
        """select (select count(*) from postmill.audit) as audit,
                  (select count(*) from pgmq.q_mail) as waiting,
                  (select count(*) from postmill.queues where paused_at is not null) as paused,
                  (select count(*) from postmill.dead_letters where replayed_at is null) as letters"""
    ).fetchone()
    assert found is not None
    return found


def visitors(dashboard: Dashboard) -> dict[str, tuple[dict[str, str], set[int]]]:
    """Those who may not act: what they send along, and how they are answered."""
    seal, operator, now_s = dashboard.access.seal, KEYS.opened("operators-key"), time.time()
    assert operator is not None
    name, good = seal.cookie("session"), seal.session(operator, now_s)
    others = Keys(operator=("operators-key",), reader=(), signing="another project")
    theirs = application(db_url="postgresql://nobody@127.0.0.1:1/nothing", keys=others).access.seal
    before = Opened(operator.viewer, "the mark of a key before")
    closed, foreign = {401}, {403}
    return {
        "nobody": (OWN, closed),
        "a key that is none": (OWN | {"authorization": "Bearer guessed"}, closed),
        "a cookie that has ended": (
            OWN | {"cookie": f"{name}={seal.session(operator, now_s - 9e5)}"},
            closed,
        ),
        "a cookie of a key that was changed": (
            OWN | {"cookie": f"{name}={seal.session(before, now_s)}"},
            closed,
        ),
        "a cookie of another project": (
            OWN | {"cookie": f"{name}={theirs.session(operator, now_s)}"},
            closed,
        ),
        "a cookie of another kind": (
            OWN | {"cookie": f"{name}={seal.sign('notice', ['ada', 'operator'])}"},
            closed,
        ),
        "a foreign page": ({"cookie": f"{name}={good}", "origin": "https://evil.example"}, foreign),
        "a page of another port": ({"cookie": f"{name}={good}", "origin": "http://127.0.0.1:1"}, foreign),
        "a page of a neighbour": (OWN | {"cookie": f"{name}={good}", "sec-fetch-site": "same-site"}, foreign),
        "no page at all": ({"cookie": f"{name}={good}"}, foreign),
    }


async def test_nobody_acts_who_is_not_known_or_comes_from_elsewhere(dashboard: Dashboard, work: Db) -> None:
    before = changed(work)
    answered: dict[tuple[str, str, str], int] = {}
    for who, (headers, expected) in visitors(dashboard).items():
        transport = httpx.ASGITransport(dashboard)
        async with httpx.AsyncClient(
            transport=transport, base_url="http://127.0.0.1:8420", headers=headers
        ) as client:
            for method, path in posts():
                own = path in {"/sign-out", "/theme"} and expected == {401}  # are anybody's
                answer = await send(client, method, filled(path))
                if not own and answer.status_code not in expected:
                    answered[who, method, path] = answer.status_code
    assert answered == {}
    assert changed(work) == before


async def test_a_reader_does_nothing_and_is_shown_no_secret(readers: httpx.AsyncClient, work: Db) -> None:
    before = changed(work)
    for method, path in posts():
        answer = await send(readers, method, filled(path))
        harmless = path in {"/sign-out", "/theme"} or path.endswith(("/operations/plan", "/call"))
        assert harmless or answer.status_code in {400, 403, 404, 422}, (path, answer.status_code)
        assert "hunter2" not in answer.text
    assert changed(work) == before


async def tried(
    client: httpx.AsyncClient, method: str, path: str, form: Mapping[str, str] | None = None
) -> str:
    """What is wrong with an answer; nothing: it is one in words."""
    try:
        sent = send(client, method, path) if form is None else client.post(path, data=form)
        answer = await sent
    except Exception as error:  # a fault that the server would log: all of them are told
        return repr(error)
    if answer.status_code >= 500:
        return f"{answer.status_code} {answer.text[:200]}"
    if answer.status_code < 400 or method == "HEAD":
        return ""
    said = answer.json()["detail"] if "json" in answer.headers["content-type"] else answer.text
    return "" if said else f"{answer.status_code} without a word"


@pytest.mark.slow
@pytest.mark.parametrize("value", HOSTILE.values(), ids=HOSTILE)
async def test_no_name_in_a_path_breaks_anything(browser: httpx.AsyncClient, work: Db, value: str) -> None:
    wrong = {}
    for method, path in ways():
        for name in names_in(path):
            if said := await tried(browser, method, filled(path, name, value)):
                wrong[method, path, name] = said
    assert wrong == {}


def asked(query: type[msgspec.Struct]) -> set[str]:
    return {each.encode_name for each in msgspec.structs.fields(query)}


FIELDS = """
reason confirm message delay_s unique_key task of max_running starts per_s group_key per_second typed meant
input outputs key tags step name value target upper_id expected letter msg_id method path type body
""".split()  # noqa: SIM905 - a list of words is read more easily
"""Names of fields of forms."""
RIGHT = {"confirm": "mail", "message": "{}", "msg_id": "2", "letter": "1/mail", "reason": "x", "name": "x"}


@pytest.mark.slow
@pytest.mark.parametrize("value", HOSTILE.values(), ids=HOSTILE)
async def test_no_field_of_a_form_breaks_anything(browser: httpx.AsyncClient, work: Db, value: str) -> None:
    """All fields are wrong at once, and each alone beside those that are right."""
    wrong = {}
    right = {
        "confirm": "mail",
        "message": "{}",
        "msg_id": "2",
        "letter": "1/mail",
        "reason": "x",
        "name": "x",
    }
    for action in ACTIONS:
        for name in ("", *FIELDS):
            text = unquote(value, errors="replace")
            fields = {**right, name: text} if name else dict.fromkeys(FIELDS, text)
            if said := await tried(browser, "POST", filled(action.path), fields):
                wrong[action.path, name] = said
    assert wrong == {}


@pytest.mark.slow
@pytest.mark.parametrize("value", HOSTILE.values(), ids=HOSTILE)
async def test_no_parameter_breaks_anything(browser: httpx.AsyncClient, work: Db, value: str) -> None:
    wrong = {}
    lists: Mapping[str, set[str]] = {
        **{each.path: {"cursor", "limit", "state", *read_by(each.show, PARAMETERS)} for each in PAGES},
        **{API + each.path: asked(each.query) for each in RESOURCES if each.method == "GET"},
        "/sign-in": {"next", "once"},
    }
    for path, names in lists.items():
        for name in sorted(names):
            if said := await tried(browser, "GET", f"{filled(path)}?{name}={value}"):
                wrong[path, name] = said
    assert wrong == {}
