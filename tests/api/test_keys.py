"""Who gets in by the keys of a project, and tries to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import httpx
import jwt
import pytest

from postmill.api.application import application
from postmill.api.keys import ViewerKeys
from postmill.api.viewer import Role
from postmill.auth import run_token, viewer_token
from postmill.auth.credentials import Granted, Trusted, authenticate
from postmill.auth.keys import ALGORITHM, make
from postmill.model.errors import InvalidOption

if TYPE_CHECKING:
    import psycopg

    from postmill.api.desk import House

    Db = psycopg.Connection[dict[str, Any]]

NOW_S = 1_800_000_000.0
KEYS = make(NOW_S)
KNOWN = ViewerKeys(KEYS, lambda: NOW_S)
SIGNED: dict[str, Any] = {"aud": viewer_token.AUDIENCE, "role": "postmill_operator", "sub": "eve"}


def key(role: str, *, life_s: float = 60, name: str = "ada") -> str:
    """One that was issued a moment ago."""
    return viewer_token.issue(KEYS, name, role, NOW_S - 1, life_s)


@pytest.mark.parametrize("role", ["reader", "operator"])
def test_an_issued_key_has_its_name_and_role(role: str) -> None:
    viewer = KNOWN.viewer(key(role))
    assert viewer is not None
    assert (viewer.name, viewer.role) == ("ada", Role(role))


@pytest.mark.parametrize("given", [KEYS.secret, KEYS.service_role], ids=["secret", "service_role"])
def test_the_keys_that_open_everything_are_an_operators(given: str) -> None:
    viewer = KNOWN.viewer(given)
    assert viewer is not None
    assert viewer.role is Role.OPERATOR


def signed(secret: str = KEYS.jwt_secret, **claims: Any) -> str:
    """A token with these claims."""
    kept = {name: value for name, value in {**SIGNED, **claims}.items() if value is not None}
    return jwt.encode(kept, secret, ALGORITHM)


@pytest.mark.parametrize(
    "given",
    [
        "",
        "x",
        "ü",
        KEYS.publishable,
        KEYS.anon,
        KEYS.jwt_secret,
        key("operator", life_s=0),
        run_token.issue(KEYS, 1, NOW_S),
        signed(secret="another secret of at least thirty-two bytes"),
        signed(aud=None),
        signed(aud=["postmill:viewer"]),
        signed(role="operator"),
        signed(role="postmill_owner"),
        signed(role="authenticated"),
        signed(role="service_role"),
        signed(sub=None),
        signed(sub=""),
        signed(sub=7),
        jwt.encode(SIGNED, "", "none"),
    ],
    ids=range(19),
)
def test_nothing_else_lets_anybody_in(given: str) -> None:
    assert KNOWN.viewer(given) is None


def test_the_token_that_looks_right_would_be_let_in() -> None:
    """The control of the test before."""
    assert KNOWN.viewer(signed()) is not None


@pytest.mark.parametrize("name", ["", "x" * 101, "a\nb"])
def test_a_name_that_the_audit_could_not_show(name: str) -> None:
    with pytest.raises(InvalidOption):
        key("reader", name=name)


def test_a_key_is_known_as_one_that_opens_no_function() -> None:
    headers = [(b"authorization", b"Bearer " + key("operator").encode())]
    granted = authenticate(headers, Trusted(KEYS), NOW_S)
    assert isinstance(granted, Granted)
    assert viewer_token.is_for_viewers(granted)


async def test_a_reader_looks_and_every_action_is_refused(house: House, db: Db) -> None:
    """Each action there is, so that none is forgotten; what is refused is reported and changes nothing."""
    from postmill.api.route import RESOURCES

    refused: list[dict[str, Any]] = []
    house.events.listeners.append(lambda _, fields: refused.append(fields))
    transport = httpx.ASGITransport(application(house, KNOWN.authorize))
    headers = {"authorization": f"Bearer {key('reader')}"}
    asks = {"plan_operation"}  # changes nothing
    actions = [each for each in RESOURCES if each.method != "GET" and each.name not in asks]
    async with httpx.AsyncClient(transport=transport, base_url="http://api", headers=headers) as client:
        assert (await client.get("/viewer")).json()["role"] == "reader"
        for each in actions:
            path = each.path.replace("{run_id}", "1").replace("{msg_id}", "1").replace("{letter_id}", "1")
            path = (
                path.replace("{call_id}", "1")
                .replace("{worker_id}", "a")
                .replace("{fingerprint}", "a")
                .replace("{operation_id}", "1")
                .replace("{queue}", "mail")
            )
            body = BODIES.get(each.name, {})
            answer = await client.request(each.method, path, json=body)
            expected = (404, "no-functions") if path.startswith("/functions") else (403, "forbidden")
            assert (answer.status_code, answer.json()["code"]) == expected, (each.name, answer.text)
    assert len(refused) == len(actions) - 4  # those of functions, of which this process has none
    assert {each["viewer"] for each in refused} == {"ada"}
    assert db.execute("select from postmill.audit").fetchall() == []


BODIES: dict[str, dict[str, Any]] = {
    "create_queue": {"queue": "mail"},
    "set_retention": {"keep_s": 1},
    "send_message": {"message": 1},
    "cancel_messages": {"msg_ids": ["1"]},
    "retry_messages": {"msg_ids": ["1"]},
    "replay_dead_letters": {"letter_ids": ["1"]},
    "discard_dead_letters": {"letter_ids": ["1"]},
    "start_run": {"flow": "f"},
    "steer_runs": {"action": "cancel", "flow": "f"},
    "signal_run": {"name": "s"},
    "import_run": {"document": {}},
    "start_operation": {"kind": "cancel"},
    "decide_error": {"state": "open"},
}
