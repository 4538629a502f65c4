"""Which failures of a database pass by themselves, by what servers and poolers say."""

from __future__ import annotations

import asyncpg
import pytest

from postmill.db.hot.outage import breaks_connection, is_passing, refuses_login

FULL = [
    ("53300", "sorry, too many clients already"),
    ("53300", "remaining connection slots are reserved for roles with the SUPERUSER attribute"),
    ("08P01", "no more connections allowed (max_client_conn)"),
    ("08P01", "query_wait_timeout"),
    ("XX000", "Max client connections reached"),
    ("XX000", "(EMAXCONN) max client connections reached, limit: 200"),
    ("XX000", "MaxClientsInSessionMode: max clients reached - in Session mode max clients are limited"),
]


def failure(state: str, text: str) -> BaseException:
    """The driver's error for what the server sent."""
    error: BaseException = asyncpg.PostgresError.new({"C": state, "M": text, "S": "FATAL"})
    return error


@pytest.mark.parametrize(("state", "text"), FULL)
def test_a_full_server_or_pooler_passes(state: str, text: str) -> None:
    error = failure(state, text)
    assert is_passing(error)
    assert breaks_connection(error)
    assert not refuses_login(error)


@pytest.mark.parametrize(
    ("state", "text"),
    [
        ("XX000", "cache lookup failed for type 4711"),
        ("42601", "syntax error"),
        ("28P01", "password authentication failed"),
    ],
)
def test_a_bug_and_a_wrong_password_do_not(state: str, text: str) -> None:
    assert not is_passing(failure(state, text))


@pytest.mark.parametrize("kind", [asyncpg.InvalidCachedStatementError, asyncpg.OutdatedSchemaCacheError])
def test_a_table_that_was_altered_meanwhile_passes(kind: type[Exception]) -> None:
    """asyncpg prepares the statement anew once; a second change in between was taken for a bug of ours."""
    assert is_passing(kind("cached statement plan is invalid"))
    assert not breaks_connection(kind("cached statement plan is invalid"))


def test_an_argument_that_can_not_be_encoded_is_a_bug() -> None:
    assert not is_passing(asyncpg.DataError("expected str, got int"))
