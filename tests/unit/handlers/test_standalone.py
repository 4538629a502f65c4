"""Which database the workers of one process get."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from postmill import worker
from postmill.handlers.standalone import settings_for
from postmill.model.config.settings import Settings
from postmill.model.errors import InvalidAddress, InvalidOption

ONE, TWO, THREE = (f"postgresql://app:secret@{name}.example/app" for name in ("one", "two", "three"))
FOLDER = Path("project")
EMBEDDED = Settings(FOLDER, FOLDER)
BY_VARIABLE = replace(EMBEDDED, db_url=THREE, source="POSTMILL_DB_URL")
BY_OPTION = replace(EMBEDDED, db_url=THREE, source="--db-url")


def workers(*addresses: str | None, **options: Any) -> list[Any]:
    def handle(payload: dict[str, Any]) -> None: ...

    return [worker(queue="tasks", db_url=address, **options)(handle) for address in addresses]


@pytest.mark.parametrize(
    ("addresses", "settings", "expected"),
    [
        ([ONE], EMBEDDED, ONE),
        ([ONE], BY_VARIABLE, ONE),
        ([ONE, ONE], BY_VARIABLE, ONE),
        ([ONE, None], EMBEDDED, ONE),
        ([THREE, None], BY_VARIABLE, THREE),
        ([None, None], BY_VARIABLE, THREE),
        ([None], EMBEDDED, None),
        ([ONE], BY_OPTION, THREE),
        ([ONE, TWO], BY_OPTION, THREE),
    ],
)
def test_one_address_is_honoured(
    addresses: list[str | None], settings: Settings, expected: str | None
) -> None:
    """Two workers with two addresses both worked in a third database."""
    assert settings_for(workers(*addresses), settings).db_url == expected


@pytest.mark.parametrize(
    ("addresses", "settings"), [([ONE, TWO], EMBEDDED), ([ONE, TWO], BY_VARIABLE), ([ONE, None], BY_VARIABLE)]
)
def test_two_databases_in_one_process_are_refused(addresses: list[str | None], settings: Settings) -> None:
    with pytest.raises(InvalidOption, match="one database") as refused:
        settings_for(workers(*addresses), settings)
    assert "secret" not in str(refused.value)


def test_the_listen_address_goes_with_it() -> None:
    found = settings_for(workers(ONE, listen_url=TWO), BY_VARIABLE)
    assert (found.db_url, found.listen_url) == (ONE, TWO)


def test_a_bad_address_names_where_it_came_from() -> None:
    with pytest.raises(InvalidAddress, match="@worker"):
        settings_for(workers("mysql://one"), EMBEDDED)
