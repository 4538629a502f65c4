"""What an SQLSTATE means has one home: both sides raise the same error for the same report."""

from __future__ import annotations

import asyncpg
import psycopg
import pytest

from postmill.client import failures
from postmill.db.hot.outage import breaks_connection, is_passing
from postmill.db.tools import connect
from postmill.model import errors
from postmill.model.config.address import parse
from postmill.model.sqlstates import Condition, condition

SAID = [
    ("08006", errors.DatabaseUnavailable),
    ("08P01", errors.DatabaseUnavailable),
    ("22021", errors.InvalidPayload),
    ("22P02", errors.InvalidPayload),
    ("22P05", errors.InvalidPayload),
    ("25006", errors.DatabaseUnavailable),
    ("25P03", errors.DatabaseUnavailable),
    ("28000", errors.LoginFailed),
    ("28P01", errors.LoginFailed),
    ("3D000", errors.LoginFailed),
    ("3F000", errors.SchemaMissing),
    ("42501", errors.PostmillError),
    ("42883", errors.SchemaMissing),
    ("53100", errors.DatabaseUnavailable),
    ("53200", errors.DatabaseUnavailable),
    ("53300", errors.DatabaseUnavailable),
    ("54000", errors.PayloadTooLarge),
    ("55P03", errors.TimedOut),
    ("57014", errors.TimedOut),
    ("57P01", errors.DatabaseUnavailable),
    ("57P03", errors.DatabaseUnavailable),
    ("58030", errors.DatabaseUnavailable),
    ("PM001", errors.QueueNotFound),
    ("PM002", errors.InvalidQueueName),
    ("PM003", errors.InvalidOption),
    ("PM004", errors.InvalidOption),
    ("PM005", errors.Refused),
    ("PM006", errors.NotFound),
]


def of_psycopg(state: str) -> Exception:
    """psycopg's error for a state; its classes are named by state."""
    kind = type(f"State{state}", (psycopg.errors.lookup("57014"),), {"sqlstate": state})
    error: Exception = kind("it said so")
    return error


def of_asyncpg(state: str) -> Exception:
    """asyncpg's error for a state."""
    error: Exception = asyncpg.PostgresError.new({"C": state, "M": "it said so", "S": "ERROR"})
    return error


def of_psycopg2(state: str) -> Exception:
    """An error as psycopg2 makes it: the state is called ``pgcode``."""
    kind = type("QueryCanceled", (Exception,), {"__module__": "psycopg2.errors", "pgcode": state})
    error: Exception = kind("it said so")
    return error


@pytest.mark.parametrize(("state", "kind"), SAID)
def test_each_driver_and_both_sides_say_the_same(state: str, kind: type[errors.PostmillError]) -> None:
    raised = []
    for error in (of_asyncpg(state), of_psycopg(state), of_psycopg2(state)):
        with pytest.raises(errors.PostmillError) as seen, failures.translated("tasks"):
            raise error
        raised.append(seen.value)
    with pytest.raises(errors.PostmillError) as seen, connect.translated(parse("postgresql://h/db")):
        raise of_psycopg(state)
    raised.append(seen.value)
    assert {type(error) for error in raised} == {kind}
    assert all(error.what for error in raised)


@pytest.mark.parametrize(
    ("said", "hint"),
    [
        ("password authentication failed", "Check user and password"),
        ("SASL authentication failed", "Check the user"),
        ("no such database: shop", "Create the database"),
        ("no such user: ada", "Check the user"),
    ],
)
def test_a_login_that_a_pooler_refuses_is_told_as_one(
    monkeypatch: pytest.MonkeyPatch, said: str, hint: str
) -> None:
    """PgBouncer says it under the state of a broken protocol, as it says that it is full."""
    monkeypatch.setattr(connect, "_state_again", lambda _address: "08P01")
    for text, kind in (
        (said, errors.LoginFailed),
        ("no more connections allowed", errors.DatabaseUnavailable),
    ):
        with pytest.raises(errors.PostmillError) as seen, connect.translated(parse("postgresql://h/db")):
            raise psycopg.OperationalError(f"connection failed: FATAL:  {text}")
        assert type(seen.value) is kind
        assert (hint in seen.value.hint) is (text == said)


@pytest.mark.parametrize("state", ["40001", "40P01", "23505", "P0001", "XX000"])
def test_a_conflict_or_an_unexpected_error_stays_the_drivers(state: str) -> None:
    """The caller's transaction must handle it; the tools name its state."""
    error = of_asyncpg(state)
    with pytest.raises(asyncpg.PostgresError) as seen, failures.translated("tasks"):
        raise error
    assert seen.value is error
    with pytest.raises(errors.PostmillError) as told, connect.translated(parse("postgresql://h/db")):
        raise of_psycopg(state)
    assert state in told.value.why


@pytest.mark.parametrize(
    ("state", "again", "ends"),
    [
        ("57014", True, False),  # a statement timeout: the session goes on
        ("55P03", True, False),
        ("40001", True, False),
        ("53100", True, False),
        ("57P01", True, True),
        ("25P03", True, True),
        ("26000", True, True),  # another session may have the statement
        ("25006", True, True),  # this session leads to a standby
        ("42501", False, False),
        ("23505", False, False),
        ("42P01", False, False),
    ],
)
def test_what_passes_and_what_ends_a_session(state: str, again: bool, ends: bool) -> None:
    error = of_asyncpg(state)
    assert is_passing(error) == again
    assert breaks_connection(error) == ends


def test_a_cancelled_statement_is_no_server_that_is_gone() -> None:
    """A cancelled statement was reported as a server that can't be reached."""
    with pytest.raises(errors.TimedOut), connect.translated(parse("postgresql://h/db")):
        raise of_psycopg("57014")
    assert condition("XX000", "cache lookup failed for type 4711") is Condition.UNEXPECTED
    assert condition("XX000", "(EMAXCONN) max client connections reached") is Condition.FULL


def test_a_missing_table_is_the_queues_or_the_schemas() -> None:
    with pytest.raises(errors.QueueNotFound, match="'tasks'"), failures.translated("tasks"):
        raise of_asyncpg("42P01")
    with pytest.raises(errors.SchemaMissing), connect.translated(parse("postgresql://h/db")):
        raise of_psycopg("42P01")


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ('syntax error at or near "25157"', Condition.QUEUE_MISSING),
        ("Syntaxfehler bei »25157«", Condition.QUEUE_MISSING),
        ('syntax error at or near "selekt"', Condition.UNEXPECTED),
        ('syntax error at or near "q1"', Condition.UNEXPECTED),
    ],
)
def test_a_queue_that_is_dropped_in_the_middle_of_a_send_is_missing(said: str, meant: Condition) -> None:
    """A sender was shown a syntax error near a number: that of the table that was gone."""
    assert condition("42601", said) is meant
