"""Database addresses: what is read, what is refused, and that no word of it ever shows a password."""

from __future__ import annotations

import traceback
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postmill.model.config.address import mask, parse
from postmill.model.errors import InvalidAddress

NORMALISED = {
    "postgresql://u:p@h:5432/db": "postgresql://u:p@h:5432/db",
    "postgres://u:p@h/db": "postgresql://u:p@h/db",
    "postgresql+asyncpg://u:p@h/db": "postgresql://u:p@h/db",
    " postgresql://u@h/db\n": "postgresql://u@h/db",
    "postgresql://u:a:b@h/db": "postgresql://u:a%3Ab@h/db",
    "postgresql://u:p%40s@h/db?sslmode=require": "postgresql://u:p%40s@h/db?sslmode=require",
    "postgresql://u@/db?host=/tmp/a b&port=6000": "postgresql://u@/db?host=/tmp/a%20b&port=6000",
    "postgresql://h/db?user=a@b": "postgresql://h/db?user=a%40b",
    "postgresql://u:p@h1:1,h2:2/db": "postgresql://u:p@h1:1,h2:2/db?target_session_attrs=read-write",
    "postgresql://u@/db?host=a,b": "postgresql://u@/db?host=a,b&target_session_attrs=read-write",
    "postgresql://h1,h2/db?target_session_attrs=any": "postgresql://h1,h2/db?target_session_attrs=any",
    "postgresql://u:p@[::1]:5/db": "postgresql://u:p@[::1]:5/db",
    "postgresql://localhost": "postgresql://localhost",
    "postgresql:///db": "postgresql:///db",
}


@pytest.mark.parametrize(("given_text", "url"), NORMALISED.items())
def test_addresses_are_normalised_so_that_both_drivers_read_the_same(given_text: str, url: str) -> None:
    assert parse(given_text).url == url


@pytest.mark.parametrize(
    "password", ["se/cret", "se@cret", "se?cret", "se#cret", "se%cret", "se[cret", "se cret", "12/34"]
)
def test_a_special_character_that_is_not_encoded_is_named_without_the_password(password: str) -> None:
    with pytest.raises(InvalidAddress) as raised:
        parse(f"postgresql://user:{password}@host/db", source="POSTMILL_DB_URL")
    told = "".join(traceback.format_exception(raised.value))
    assert "special character that is not percent-encoded" in told
    assert "POSTMILL_DB_URL" in told
    assert "p%40ss%2Fword" in raised.value.why
    assert password not in told


@pytest.mark.parametrize(
    "text",
    [
        "mysql://u:hunter2@h/db",
        "hunter2",
        "host=h password=hunter2",
        "postgresql://u:hunter2/db",
        "postgresql://u:hunter2@h:port/db",
        "postgresql://u:hunter2@h:99999/db",
        "postgresql://u:hunter2@h/db?sslmode",
        "postgresql://u:hunter2@h/db?pgbouncer=ture",
        "postgresql://u:hunter2@[h/db",
    ],
)
def test_what_is_no_address_is_refused_without_being_repeated(text: str) -> None:
    with pytest.raises(InvalidAddress) as raised:
        parse(text)
    assert raised.value.why
    assert raised.value.hint
    assert "hunter2" not in str(raised.value)


@pytest.mark.parametrize(
    ("text", "pooled"),
    [
        ("postgresql://u@h:5432/db", False),
        ("postgresql://u@h:6543/db", True),
        ("postgresql://u@h1:5432,h2:6543/db", True),
        ("postgresql://u@/db?host=h&port=6543", True),
        ("postgresql://u@aws-0-eu.pooler.supabase.com:5432/db", True),
        ("postgresql://u@h/db?pgbouncer=true", True),
        ("postgresql://u@h:6543/db?pgbouncer=false", False),
    ],
)
def test_poolers_in_transaction_mode_are_recognised(text: str, pooled: bool) -> None:
    address = parse(text)
    assert address.pooled is pooled
    assert "pgbouncer" not in address.url
    assert address.listen_url == (None if pooled else address.url)


def test_a_direct_address_is_for_listening_only() -> None:
    address = parse("postgresql://u@h:6543/db", listen_url="postgres://u@h:5432/db")
    assert address.listen_url == "postgresql://u@h:5432/db"
    assert address.pooled


def test_nothing_that_is_printed_by_accident_shows_the_password() -> None:
    address = parse(
        "postgresql://u:hunter2@h:6543/db?sslpassword=hunter2", listen_url="postgresql://u:hunter2@h/db"
    )
    assert "hunter2" not in f"{address} {address!r} {address.masked}"
    assert str(address) == "postgresql://u:***@h:6543/db?sslpassword=***"


@given(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1))
def test_any_encoded_password_survives_and_is_masked(password: str) -> None:
    encoded = quote(password, safe="")
    address = parse(f"postgresql://user:{encoded}@host/db")
    assert address.url == f"postgresql://user:{encoded}@host/db"
    assert str(address) == "postgresql://user:***@host/db"


@given(st.text(st.characters(codec="ascii", exclude_characters="\0\n'\"")))
def test_whatever_stands_before_the_last_at_is_masked(password: str) -> None:
    text = f"postgresql://user:{password}@host/db"
    assert mask(f"in {text} out", text) == "in postgresql://user:***@host/db out"


def test_addresses_are_masked_inside_text() -> None:
    text = "could not use postgres://u:p@ss@h/db, nor 'mysql://a:b@c', nor password = 'x y' host=h"
    assert (
        mask(text) == "could not use postgres://u:***@h/db, nor 'mysql://a:***@c', nor password = *** host=h"
    )
