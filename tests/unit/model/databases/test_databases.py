"""[databases] and [routes]: what they say, and what is refused in words."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from postmill.model.config.settings import Settings, resolve
from postmill.model.databases.databases import Databases, Route
from postmill.model.errors import InvalidOption

TWO = {"eu1": "postgresql://a@one/app", "eu2": "postgresql://a@two/app"}


def settings(
    toml: dict[str, Any], *, environ: dict[str, str] | None = None, **options: str | None
) -> Settings:
    return resolve(options, environ or {}, toml, Path("project"))


def refusal(toml: dict[str, Any], environ: dict[str, str] | None = None, **options: str | None) -> str:
    with pytest.raises(InvalidOption) as raised:
        settings(toml, environ=environ, **options)
    return str(raised.value)


def test_routes_and_databases_are_read() -> None:
    found = settings({"databases": TWO, "routes": {"mail": {"over": ["eu1", "eu2"], "shard_by": "tenant"}}})
    assert found.databases is not None
    assert found.databases.names == ("eu1", "eu2")
    assert found.databases.routes == {"mail": Route(("eu1", "eu2"), "tenant")}
    assert (found.database, found.is_chosen) == ("eu1", False)
    assert found.address is not None
    assert found.address.url == "postgresql://a@one/app"


def test_a_variable_holds_the_address_of_a_database_before_the_file_does() -> None:
    found = settings(
        {"databases": {"eu1": "", "eu2": TWO["eu2"]}},
        environ={"POSTMILL_DB_URL_EU1": "postgresql://b@three/app", "POSTMILL_DB_URL_EU2": ""},
    )
    assert found.databases is not None
    assert [found.databases.addresses[name].url for name in ("eu1", "eu2")] == [
        "postgresql://b@three/app",
        "postgresql://a@two/app",
    ]


def test_each_has_its_own_address_to_listen_on() -> None:
    pooled = {"url": "postgresql://a@one:6543/app", "listen_url": "postgresql://a@one/app"}
    found = settings({"databases": {"eu1": pooled, "eu2": TWO["eu2"]}}).databases
    assert found is not None
    assert found.addresses["eu1"].listen_url == "postgresql://a@one/app"
    assert found.addresses["eu2"].listen_url == TWO["eu2"]
    by_variable = settings(
        {"databases": {"eu1": pooled}}, environ={"POSTMILL_DB_URL_EU1": TWO["eu2"]}
    ).databases
    assert by_variable is not None
    assert by_variable.addresses["eu1"].url == TWO["eu2"]
    assert by_variable.addresses["eu1"].direct_url == "postgresql://a@one/app"


def test_an_address_to_listen_on_that_fits_none_is_refused() -> None:
    assert "[databases] eu1 is a pooler" in refusal(
        {"databases": {"eu1": {"url": TWO["eu1"], "listen_url": "postgresql://a@one:6543/app"}}}
    )
    assert "names several" in refusal({"databases": TWO}, {"POSTMILL_LISTEN_URL": TWO["eu1"]})
    assert "names several" in refusal({"databases": TWO, "db": {"listen_url": TWO["eu1"]}})
    assert "listen_ur" in refusal({"databases": {"eu1": {"url": TWO["eu1"], "listen_ur": "x"}}})
    assert "has no address" in refusal({"databases": {"eu1": {"listen_url": TWO["eu1"]}}})


def test_one_of_them_is_chosen_without_moving_what_has_no_route() -> None:
    for given in ({"environ": {"POSTMILL_DATABASE": "eu2"}}, {"database": "eu2"}):
        found = settings({"databases": TWO}, **given)
        assert (found.database, found.is_chosen, found.db_url) == ("eu2", True, TWO["eu2"])
        assert found.databases is not None
        assert found.databases.home("hello", None) == "eu1"


def test_the_main_one_schedules_and_flows_are_named() -> None:
    toml = {"databases": TWO, "db": {"database": "eu2"}, "schedules": {"database": "eu1"}}
    found = settings(toml).databases
    assert found is not None
    assert (found.main, found.of_schedules, found.of_flows) == ("eu2", "eu1", "eu2")


def test_an_address_on_the_command_line_comes_before_them() -> None:
    found = settings({"databases": TWO}, db_url="postgresql://c@four/app")
    assert (found.databases, found.database) == (None, None)


def test_the_applications_own_variable_is_not_looked_at() -> None:
    assert settings({"databases": TWO}, environ={"DATABASE_URL": "postgresql://x@app/x"}).database == "eu1"


@pytest.mark.parametrize(
    ("toml", "said"),
    [
        ({"databases": {"EU": "postgresql://a@one/app"}}, "can't be called 'EU'"),
        ({"databases": {"eu1": ""}}, "Set POSTMILL_DB_URL_EU1"),
        ({"databases": {"eu1": 5}}, "databases.eu1"),
        ({"databases": {"eu1": TWO["eu1"], "eu9": TWO["eu1"]}}, "eu1 and eu9 are one database"),
        ({"databases": TWO, "routes": {"mail": {"over": []}}}, "Queue mail: A route has no database"),
        ({"databases": TWO, "routes": {"mail": {}}}, "Queue mail: A route has no database"),
        ({"databases": TWO, "routes": {"mail": {"over": ["eu1", "eu1"]}}}, "names the database 'eu1' twice"),
        ({"databases": TWO, "routes": {"mail": {"over": ["eu1", "eu3"]}}}, "Did you mean"),
        ({"databases": TWO, "routes": {"mail": {"ower": ["eu1"]}}}, "Did you mean over?"),
        ({"databases": TWO, "routes": {"mail": {"over": ["eu1"], "shard_by": ""}}}, "shard_by is empty"),
        ({"databases": TWO, "routes": {"mail": "eu1"}}, "routes.mail"),
        ({"databases": TWO, "routes": {"ma;il": {"over": ["eu1"]}}}, "not the name of a queue"),
        ({"databases": TWO, "schedules": {"database": "eu8"}}, "There is no database 'eu8'"),
        ({"databases": TWO, "db": {"url": TWO["eu1"]}}, "names one database"),
        ({"routes": {"mail": {"over": ["eu1"]}}}, "has [routes] and no [databases]"),
        ({"schedules": {"database": "eu1"}}, "has no [databases]"),
    ],
)
def test_what_is_wrong_is_told(toml: dict[str, Any], said: str) -> None:
    assert said in refusal(toml)


def test_one_address_beside_several_is_refused() -> None:
    assert "names several" in refusal({"databases": TWO}, {"POSTMILL_DB_URL": TWO["eu1"]})


def test_a_chosen_name_must_be_one_of_them() -> None:
    assert "Did you mean eu1?" in refusal({"databases": TWO}, database="eu11")
    assert "none to choose from" in refusal({}, database="eu1")


def test_no_password_is_shown() -> None:
    made = Databases.of({"eu1": "postgresql://a:secret@one/app"})
    assert "secret" not in repr(made)
    assert "secret" not in refusal({"databases": {"eu1": "postgresql://a:sec/ret@one/app"}})


def test_the_home_of_a_message() -> None:
    made = Databases.of(TWO, {"mail": Route(("eu1", "eu2"), "tenant"), "audit": Route(("eu2",))})
    assert made.home("mail", "acme") in {"eu1", "eu2"}
    assert (made.home("audit", None), made.home("audit", "acme")) == ("eu2", "eu2")
    assert made.home("hello", None) == "eu1"
    with pytest.raises(InvalidOption, match="a payload with the field 'tenant'"):
        made.home("mail", None)
    with pytest.raises(InvalidOption, match="Did you mean mail"):
        made.home("mial", "acme")
