"""The facade vault: references to the secrets that a role was granted, and no way to put a value in."""

from __future__ import annotations

from typing import TYPE_CHECKING

import psycopg
import pytest

from postmill.db.tools.facades import named
from postmill.db.tools.migrate import migrate
from tests.sql.asking import Database, column, row, rows, value
from tests.sql.test_privileges import grants

if TYPE_CHECKING:
    from collections.abc import Iterator

RIGHTS = "A role that reads references to secrets"
KEYED = """
select net.http_get('https://example.com', headers => jsonb_build_object(
    'Authorization', 'Bearer ' || (select decrypted_secret from vault.decrypted_secrets where name = $1)))
"""


@pytest.fixture(autouse=True)
def vault(db: Database) -> None:
    migrate(db, wanted=[named("vault")])


@pytest.fixture
def reader(db: Database, stranger: Database) -> Iterator[Database]:
    """A role that makes calls and reads references, and that was granted KEY."""
    db.execute(grants("A role that makes calls").encode())
    db.execute(grants(RIGHTS).encode())
    for secret, role in (("KEY", "stranger"), ("OTHER", "pg_monitor")):
        db.execute(b"select postmill.grant_secret($1, $2)", [secret, role])
    yield stranger
    db.execute(b"revoke pg_monitor from stranger")


def test_a_secret_is_shown_as_a_reference(db: Database) -> None:
    db.execute(b"select postmill.grant_secret('service_key', current_user::name)")
    shown = row(db, "select * from vault.decrypted_secrets")
    assert {name: shown[name] for name in ("name", "description", "decrypted_secret", "key_id", "nonce")} == {
        "name": "service_key",
        "description": "",
        "decrypted_secret": "{{secret:service_key}}",
        "key_id": None,
        "nonce": None,
    }
    assert (
        shown["created_at"]
        == shown["updated_at"]
        == value(db, "select granted_at from postmill.secret_grants")
    )
    assert shown == row(db, "select *, secret as decrypted_secret from vault.secrets")
    assert list(row(db, "select * from vault.secrets")) == [
        *("id", "name", "description", "secret", "key_id", "nonce", "created_at", "updated_at")
    ]


def test_an_id_stays_when_a_secret_is_granted_again(db: Database) -> None:
    known = []
    for _ in range(2):
        db.execute(b"select postmill.grant_secret('KEY', 'pg_monitor')")
        known += column(db, "select id from vault.secrets where name = 'KEY'")
        db.execute(b"select postmill.revoke_secret('KEY', 'pg_monitor')")
    assert len(set(known)) == 1
    assert rows(db, "select * from vault.secrets") == []


def test_a_secret_of_two_roles_is_one_secret(db: Database) -> None:
    for role in ("pg_monitor", "pg_signal_backend"):
        db.execute(b"select postmill.grant_secret('KEY', $1)", [role])
    assert column(db, "select name from vault.decrypted_secrets") == ["KEY"]


def test_a_role_sees_the_secrets_that_were_granted_to_it(db: Database, reader: Database) -> None:
    assert column(reader, "select name from vault.decrypted_secrets") == ["KEY"]
    assert column(reader, "select name from vault.secrets") == ["KEY"]
    db.execute(b"grant pg_monitor to stranger")
    assert column(reader, "select name from vault.decrypted_secrets order by 1") == ["KEY", "OTHER"]
    db.execute(b"select postmill.revoke_secret('KEY', 'stranger')")
    assert column(reader, "select name from vault.decrypted_secrets") == ["OTHER"]


def test_a_leaky_condition_sees_no_secret_of_others(db: Database, reader: Database) -> None:
    """A function of the reader's own looks at each row that the view filters."""
    db.execute(b"create schema leaks; grant usage, create on schema leaks to stranger")
    reader.execute(
        b"create function leaks.tell(name text) returns boolean language plpgsql immutable cost 0.0001 as "
        b"$$ begin raise notice '%', name; return true; end $$"
    )
    heard: list[str] = []
    reader.add_notice_handler(lambda notice: heard.append(notice.message_primary or ""))
    column(reader, "select name from vault.decrypted_secrets where leaks.tell(name)")
    assert heard == ["KEY"]


def test_a_role_without_the_grants_sees_nothing(db: Database, stranger: Database) -> None:
    for forbidden in ("select * from vault.decrypted_secrets", "select vault.create_secret('x')"):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            stranger.execute(forbidden.encode())


def test_the_reference_stands_in_a_call_of_the_role_it_was_granted_to(db: Database, reader: Database) -> None:
    made = value(reader, KEYED, "KEY")
    kept = row(db, "select headers, secrets from postmill.calls where call_id = $1", made)
    assert kept == {"headers": {"Authorization": "Bearer {{secret:KEY}}"}, "secrets": ["KEY"]}


@pytest.mark.parametrize(
    ("write", "says"),
    [
        ("select vault.create_secret('hunter2', 'KEY')", "postmill secrets set KEY"),
        ("select vault.create_secret(new_secret => 'hunter2')", "postmill secrets set NAME"),
        (
            "select vault.update_secret((select id from vault.secrets), 'hunter2', new_name => 'OTHER')",
            "postmill secrets set KEY",
        ),
        ("insert into vault.secrets (name, secret) values ('KEY', 'hunter2')", "postmill secrets set KEY"),
        ("update vault.secrets set secret = 'hunter2'", "postmill secrets set KEY"),
        ("update vault.decrypted_secrets set secret = 'hunter2'", "postmill secrets grant KEY --to"),
        ("delete from vault.secrets", "postmill secrets unset KEY"),
    ],
)
def test_a_value_is_refused_with_the_command_that_keeps_it(db: Database, write: str, says: str) -> None:
    db.execute(b"select postmill.grant_secret('KEY', current_user::name)")
    with pytest.raises(
        psycopg.errors.FeatureNotSupported, match="no values of secrets in the database"
    ) as refusal:
        db.execute(write.encode())
    assert says in (refusal.value.diag.message_hint or "")
    assert (
        "hunter2"
        not in f"{refusal.value} {refusal.value.diag.message_detail} {refusal.value.diag.message_hint}"
    )
