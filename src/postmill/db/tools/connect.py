"""One plain connection for tools and synchronous code, and the driver's errors as errors of Postmill.

Every connection is autocommit: a transaction is always written out where it is meant. Does not start servers,
does not retry, and does not know which tables there are.
"""

from __future__ import annotations

import json
import re
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from math import isfinite
from typing import TYPE_CHECKING, Any, TypeAlias

import psycopg
from psycopg.rows import dict_row
from psycopg.types.datetime import TimestamptzBinaryLoader, TimestamptzLoader
from psycopg.types.json import set_json_loads

from postmill.client.failures import report_of
from postmill.client.psycopg_connection import open_connection
from postmill.model.database_errors import Report, in_words, login_failed, sentence, unexpected, unreachable
from postmill.model.errors import InvalidAddress
from postmill.model.sqlstates import pooler_refuses_login, refuses_for_now, state_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from psycopg.abc import Buffer

    from postmill.model.config.address import Address
    from postmill.model.errors import PostmillError

Connection: TypeAlias = psycopg.Connection[dict[str, Any]]
"""The type of connection that tools use: autocommit, ``$1`` parameters, rows as dicts."""

TOO_DEEP = "[nested too deep to be shown]"
"""Stands in the place of a value that is nested deeper than can be read."""

_FOUR_CENTURIES_US = 146_097 * 86_400 * 1_000_000
"""Microseconds in 400 years of the Gregorian calendar, which have 146,097 days."""
_MAYBE_TOO_LARGE = re.compile(r"\d{309}")
"""As many digits as the largest float has. ``jsonb`` writes 1e400 out in digits."""
_FATAL = re.compile(r"FATAL:\s*(?P<text>.*)")


class ExactFloat(float):
    """A number of JSON that a float rounds or writes otherwise, with the ``digits`` that the database has."""

    digits: str


def connect(
    address: Address, *, application_name: str = "postmill", options: str = "", exact: bool = False
) -> Connection:
    """A connection to ``address``; the caller closes it (it is a context manager). ``exact``: such numbers
    as are not the same as floats are read as :class:`ExactFloat`.

    ``options`` are libpq's, for example ``-c statement_timeout=5s``; a pooler refuses them, so they are left
    out there. Raises :class:`LoginFailed` when the server refuses the user, :class:`DatabaseUnavailable` when
    it can't be reached, :class:`InvalidAddress` when libpq knows no such parameter.
    """
    extra: dict[str, Any] = {} if address.pooled or not options else {"options": options}
    with translated(address, connected=False):
        connection = open_connection(
            address,
            application_name,
            prepare_threshold=None,  # a pooler that the address does not show would mix them up
            cursor_factory=psycopg.RawCursor,
            row_factory=dict_row,
            **extra,
        )
    connection.adapters.register_loader("timestamptz", _AnyTime)
    connection.adapters.register_loader("timestamptz", _AnyBinaryTime)
    set_json_loads(_exact_json if exact else _any_json, connection)
    return connection


class _AnyTime(TimestamptzLoader):
    """Other clients may have written times that Python has no date for: those are given as the server's
    text, such as ``infinity`` or ``294000-01-01 00:00:00+00``.
    """

    def load(self, data: Buffer) -> datetime:
        try:
            return super().load(data)
        except psycopg.DataError:
            return bytes(data).decode()  # type: ignore[return-value]


class _AnyBinaryTime(TimestamptzBinaryLoader):
    """The same where results come in binary: as the number of microseconds since the year 2000."""

    def load(self, data: Buffer) -> datetime:
        try:
            return super().load(data)
        except psycopg.DataError:
            return far_time(int.from_bytes(data, signed=True))  # type: ignore[return-value]


def far_time(us: int) -> str:
    """A time that Python has no date for, in the server's words. ``us``: since the year 2000."""
    if abs(us) >= 2**63 - 1:
        return "infinity" if us > 0 else "-infinity"
    cycles, rest_us = divmod(us, _FOUR_CENTURIES_US)  # the calendar repeats itself
    near = datetime(2000, 1, 1, tzinfo=UTC) + timedelta(microseconds=rest_us)
    year = near.year + 400 * cycles
    shown, era = (year, "") if year > 0 else (1 - year, " BC")
    return f"{shown:04}-{near:%m-%d %H:%M:%S}+00{era}"


def _any_json(data: str | bytes) -> Any:
    """Other clients may have written JSON that Python has no value for: a number that is too large is given
    as the text of its digits, and of a value that is nested too deep is said that it is.
    """
    text = data if isinstance(data, str) else data.decode()
    try:
        return _WITH_LARGE_NUMBERS(text) if _MAYBE_TOO_LARGE.search(text) else json.loads(text)
    except RecursionError:
        return TOO_DEEP


def _exact_json(data: str | bytes) -> Any:
    """The same, with the digits that stand there."""
    try:
        return _WITH_DIGITS(data if isinstance(data, str) else data.decode())
    except RecursionError:
        return TOO_DEEP


def _integer(digits: str) -> int | str:
    try:
        return int(digits)
    except ValueError:  # Python reads no more than 4,300 digits
        return digits


def _float(digits: str) -> float | str:
    return found if isfinite(found := float(digits)) else digits


def _exact(digits: str) -> float | str:
    found = _float(digits)
    if repr(found) == digits or not isinstance(found, float):
        return found
    exact = ExactFloat(found)
    exact.digits = digits
    return exact


_WITH_DIGITS = json.JSONDecoder(parse_int=_integer, parse_float=_exact).decode
_WITH_LARGE_NUMBERS = json.JSONDecoder(parse_int=_integer, parse_float=_float).decode


@contextmanager
def translated(address: Address, *, connected: bool = True) -> Iterator[None]:
    """Turns the driver's errors into Postmill's; an unexpected error passes through.

    ``connected``: whether there was a connection, so that what was under way may have taken effect.
    """
    try:
        yield
    except psycopg.errors.SyntaxError:
        raise  # a bug
    except psycopg.Error as error:
        raise _in_our_words(error, address, connected=connected) from error


def _in_our_words(error: psycopg.Error, address: Address, *, connected: bool) -> PostmillError:
    server = f"The database at {address.masked}{_configured(address)}"
    report = replace(report_of(error), server=server, connected=connected)
    if report.state:
        report = replace(report, message=error.diag.message_primary or report.message)
    elif isinstance(error, psycopg.OperationalError):
        return _unavailable(error, replace(report, message=_without_prefix(report.message)), address)
    elif isinstance(error, psycopg.ProgrammingError):
        return _invalid_parameter(report)
    return in_words(report) or unexpected(report)


def _unavailable(error: psycopg.OperationalError, report: Report, address: Address) -> PostmillError:
    """libpq gives no SQLSTATE for a refused login; what the server said follows FATAL, in its language. So
    the login is tried again with asyncpg. The text decides only when that gives no SQLSTATE either.
    """
    fatal = _FATAL.search(str(error))
    report = replace(report, message=fatal["text"]) if fatal else report
    state = "" if isinstance(error, psycopg.errors.ConnectionTimeout) else _state_again(address)
    if state:
        report = replace(report, state=state)
        if pooler_refuses_login(state, report.message):
            return login_failed(report)
        return in_words(report) or login_failed(report)
    if fatal and not refuses_for_now(report.message):
        return login_failed(report)
    return unreachable(report)


def _state_again(address: Address) -> str:
    # Imported here, since it brings the other driver, which most processes never need.
    from postmill.db.hot.refusal import refusal  # noqa: PLC0415

    answer = refusal(address)
    return state_of(answer) if answer is not None else ""


def _invalid_parameter(report: Report) -> InvalidAddress:
    return InvalidAddress(
        "The database address can't be used.",
        why=sentence(report.message),
        hint="Parameters after the ? are those of libpq, such as sslmode or connect_timeout.",
    )


def _configured(address: Address) -> str:
    return f" (from {address.source})" if address.source else ""


def _without_prefix(line: str) -> str:
    return line.removeprefix("connection failed: ").removeprefix("connection is bad: ")
