"""A database of several knows its name, and the home of a key can be asked for in SQL too."""

from __future__ import annotations

import psycopg
import pytest

from postmill.model.databases.rendezvous import home
from tests.sql.asking import Database, column, value


def test_a_database_gets_its_name_once(db: Database) -> None:
    assert value(db, "select postmill.database_name()") is None
    for _ in range(2):
        db.execute(b"select postmill.name_database('eu1')")
    assert value(db, "select postmill.database_name()") == "eu1"


def test_another_name_is_refused_in_words_and_replaced_on_purpose(db: Database) -> None:
    db.execute(b"select postmill.name_database('eu1')")
    with pytest.raises(psycopg.Error, match="is called eu1, and not eu2") as raised:
        db.execute(b"select postmill.name_database('eu2')")
    assert raised.value.sqlstate == "PM005"
    assert "postmill.name_database('eu2', true)" in str(raised.value.diag.message_hint)
    db.execute(b"select postmill.name_database('eu2', true)")
    assert value(db, "select postmill.database_name()") == "eu2"


@pytest.mark.parametrize("name", ["", "EU1", "1eu", "e" * 31, "eu-1", None])
def test_a_name_follows_the_rule(db: Database, name: str | None) -> None:
    with pytest.raises(psycopg.Error, match="can't be called") as raised:
        db.execute("select postmill.name_database($1)", [name])
    assert raised.value.sqlstate == "PM003"


def test_sql_finds_the_same_home(db: Database) -> None:
    names, keys = ["eu1", "eu2", "eu3"], ["acme", "ü", "42", "名", *map(str, range(100))]
    found = column(
        db,
        """
        select (select name from unnest($1::text[]) as name
                order by sha256(convert_to(name, 'UTF8') || '\\x00' || convert_to(key, 'UTF8')) desc limit 1)
        from unnest($2::text[]) with ordinality as each (key, place) order by place
        """,
        names,
        keys,
    )
    assert found == [home(key, names) for key in keys]
