"""Settings: what wins over what, and what is refused by name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from postmill.model.config.settings import EMBEDDED, ENVIRONMENT, Settings, resolve
from postmill.model.errors import InvalidAddress, InvalidOption

PROJECT = Path("/project")


def resolved(
    options: dict[str, str | None] | None = None,
    environ: dict[str, str] | None = None,
    toml: dict[str, Any] | None = None,
) -> Settings:
    return resolve(options or {}, environ or {}, toml or {}, PROJECT)


def test_without_anything_the_embedded_postgres_of_the_project_is_used() -> None:
    settings = resolved()
    assert settings.is_embedded
    assert settings.address is None
    assert settings.data_dir == PROJECT / ".postmill"
    assert (settings.log_level, settings.log_format, settings.source) == ("info", "text", EMBEDDED)


def test_the_address_is_the_first_one_found() -> None:
    toml = {"db": {"url": "postgresql://toml/db"}}
    environ: dict[str, str] = {}
    assert resolved({}, environ, toml).source == "postmill.toml"
    for variable in reversed(ENVIRONMENT["db_url"]):
        environ[variable] = f"postgresql://{variable.lower()}/db"
        settings = resolved({}, environ, toml)
        assert settings.source == variable
        assert settings.db_url == environ[variable]
    assert resolved({"db_url": "postgresql://option/db"}, environ, toml).source == "--db-url"


def test_unset_and_empty_are_the_same() -> None:
    assert resolved({"db_url": None}, {"DATABASE_URL": "", "POSTMILL_DATA": ""}).is_embedded


@pytest.mark.parametrize(
    ("name", "variable", "field"),
    [
        ("log_level", "POSTMILL_LOG_LEVEL", "log_level"),
        ("log_level", "EDGE_WORKER_LOG_LEVEL", "log_level"),
    ],
)
def test_each_variable_of_the_log_level_counts(name: str, variable: str, field: str) -> None:
    assert getattr(resolved(environ={variable: "DEBUG"}), field) == "debug"
    assert getattr(resolved({name: "error"}, {variable: "debug"}), field) == "error"


def test_the_data_folder_may_be_relative_to_the_project_or_absolute() -> None:
    assert resolved({"data": "db"}).data_dir == PROJECT / "db"
    assert resolved(environ={"POSTMILL_DATA": "/srv/db"}).data_dir == Path("/srv/db")
    assert resolved(toml={"db": {"data": "~/db"}}).data_dir == Path("~/db").expanduser()


def test_settings_of_the_embedded_server_are_spelled_as_postgres_does() -> None:
    toml = {"db": {"settings": {"jit": False, "max_connections": 50, "shared_buffers": "64MB"}}}
    assert resolved(toml=toml).db_settings == {
        "jit": "off",
        "max_connections": "50",
        "shared_buffers": "64MB",
    }


@pytest.mark.parametrize(
    ("toml", "named", "nearest"),
    [
        ({"dbs": {}}, "[dbs]", "db"),
        ({"db": {"ulr": "x"}}, "ulr in [db]", "url"),
        ({"log": {"levels": "info"}}, "levels in [log]", "level"),
        ({"url": "x"}, "url", ""),
    ],
)
def test_unknown_names_are_refused_with_the_nearest_known_one(
    toml: dict[str, Any], named: str, nearest: str
) -> None:
    with pytest.raises(InvalidOption) as raised:
        resolved(toml=toml)
    assert named in raised.value.what
    assert nearest in raised.value.hint


@pytest.mark.parametrize(
    "toml", [{"db": 1}, {"db": {"url": 1}}, {"db": {"settings": "x"}}, {"log": {"level": True}}]
)
def test_values_of_the_wrong_type_are_refused(toml: dict[str, Any]) -> None:
    with pytest.raises(InvalidOption, match="wrong type"):
        resolved(toml=toml)


def test_a_value_out_of_its_choices_is_refused_with_its_source() -> None:
    with pytest.raises(InvalidOption) as raised:
        resolved(environ={"POSTMILL_LOG_LEVEL": "debgu"})
    assert "POSTMILL_LOG_LEVEL" in raised.value.what
    assert raised.value.hint == "Did you mean debug?"


def test_a_bad_address_is_refused_with_its_source() -> None:
    with pytest.raises(InvalidAddress, match="DATABASE_URL"):
        resolved(environ={"DATABASE_URL": "mysql://u:p@h/db"})


def test_a_pooler_can_not_be_the_address_to_listen_on() -> None:
    with pytest.raises(InvalidOption, match="POSTMILL_LISTEN_URL"):
        resolved(environ={"POSTMILL_LISTEN_URL": "postgresql://h:6543/db"})


def test_settings_show_no_address_when_printed() -> None:
    settings = resolved(
        {"db_url": "postgresql://u:hunter2@h/db", "listen_url": "postgresql://u:hunter2@h/db"}
    )
    assert "hunter2" not in repr(settings)


def test_what_is_said_of_calls() -> None:
    usual = resolved()
    assert (usual.makes_calls, usual.call_addresses, usual.functions_url) == (True, None, None)
    toml = {"calls": {"make": False, "addresses": "10.0.0.0/8", "functions_url": "http://host:1/"}}
    said = resolved(toml=toml)
    assert (said.makes_calls, said.functions_url) == (False, "http://host:1")
    assert said.call_addresses is not None
    assert said.call_addresses.refusal("10.1.2.3") is None
    assert resolved({"calls": "on"}, {"POSTMILL_CALLS": "off"}, toml).makes_calls
    with pytest.raises(InvalidOption, match="privat"):
        resolved(environ={"POSTMILL_CALL_ADDRESSES": "privat"})


def test_names_of_secrets_are_a_list_in_the_file_and_a_text_in_a_variable() -> None:
    toml = {"dashboard": {"redact": ["iban"]}}
    assert resolved(toml=toml).dashboard.redact == ("iban",)
    environ = {"POSTMILL_REDACT": "iban, date_of_birth,"}
    assert resolved(environ=environ, toml=toml).dashboard.redact == ("iban", "date_of_birth")
    assert resolved(toml={"dashboard": {"prefix": "/tools/jobs/"}}).dashboard.prefix == "/tools/jobs"
    for prefix in ("jobs", "//", "/a b", "/a//b", "/?"):
        with pytest.raises(InvalidOption, match=r"\[dashboard\] prefix"):
            resolved(toml={"dashboard": {"prefix": prefix}})
    with pytest.raises(InvalidOption, match=r"\[dashboard\] redact"):
        resolved(toml={"dashboard": {"redact": [7]}})
