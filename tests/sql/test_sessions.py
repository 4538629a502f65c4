"""The tests' own connections: what one test leaves open fails another one."""

from __future__ import annotations

from tests.servers import session


def test_a_session_is_closed_also_in_the_middle_of_a_statement(database_url: str) -> None:
    """A test is stopped while the server works for it: its fixture closes the connection all the same."""
    with session(database_url) as connection:
        connection.pgconn.send_query(b"select pg_sleep(60)")
    assert connection.closed
