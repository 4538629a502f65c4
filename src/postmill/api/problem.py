"""How a failure is told: RFC 9457's problem details, with Postmill's three sentences."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from msgspec import Struct, field

from postmill.model import errors
from postmill.model.sqlstates import Condition, condition, state_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from postmill.model.errors import PostmillError

MEDIA_TYPE = "application/problem+json"


class Problem(Struct, kw_only=True):
    """What went wrong, in the body of an answer."""

    type: str
    """An address of the page about errors; stable for a code."""
    title: str
    status: int
    code: str
    """Stable; see the page about errors."""
    detail: str
    """What happened."""
    why: str = ""
    try_: str = field(name="try", default="")
    """What to do."""


_STATUS: tuple[tuple[type[PostmillError], HTTPStatus], ...] = (
    (errors.PayloadTooLarge, HTTPStatus.REQUEST_ENTITY_TOO_LARGE),
    (errors.InvalidPayload, HTTPStatus.UNPROCESSABLE_ENTITY),
    (errors.InvalidOption, HTTPStatus.BAD_REQUEST),
    (errors.NotFound, HTTPStatus.NOT_FOUND),
    (errors.Refused, HTTPStatus.CONFLICT),
    (errors.DatabaseUnavailable, HTTPStatus.SERVICE_UNAVAILABLE),
    (errors.SchemaMissing, HTTPStatus.SERVICE_UNAVAILABLE),
    (errors.TimedOut, HTTPStatus.GATEWAY_TIMEOUT),
)
"""The first that fits: a class stands before those that it is one of."""


class Failure(Exception):
    """A request that is refused before the database is asked, or without it."""

    def __init__(
        self,
        status: HTTPStatus,
        code: str,
        what: str,
        *,
        why: str = "",
        hint: str = "",
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(what)
        self.problem = problem(status, code, what, why, hint)
        self.headers = headers or {}


def problem(status: int, code: str, what: str, why: str = "", hint: str = "") -> Problem:
    """A problem of that code."""
    return Problem(
        type=f"https://postmill.dev/errors#{code}",
        title=HTTPStatus(status).phrase,
        status=int(status),
        code=code,
        detail=what,
        why=why,
        try_=hint,
    )


def check_no_nul(texts: Iterable[str]) -> None:
    """Raises :class:`Failure` for a text of a request that no table holds: the database has no NUL."""
    if any("\0" in text for text in texts):
        raise Failure(HTTPStatus.BAD_REQUEST, "invalid-option", "A name or value contains the character NUL.")


def problem_that_tells(error: Failure | PostmillError) -> Problem:
    """Why a request came to nothing."""
    return error.problem if isinstance(error, Failure) else problem_of(error)


def problem_of(error: PostmillError) -> Problem:
    """The problem that tells an error of Postmill. The address of a database is not in it."""
    status = next((status for kind, status in _STATUS if isinstance(error, kind)), None)
    if status is None:
        status = HTTPStatus.INTERNAL_SERVER_ERROR
    state = condition(state_of(error.__cause__)) if error.__cause__ else None
    if state is Condition.FORBIDDEN:
        return problem(
            HTTPStatus.FORBIDDEN,
            "forbidden",
            error.what,
            "The login of this process may not do it.",
            error.hint,
        )
    if state is Condition.READ_ONLY:
        why = "It is a standby, or default_transaction_read_only is on."
        return problem(HTTPStatus.FORBIDDEN, "read-only", "Nothing can be changed here.", why)
    if isinstance(error, errors.DatabaseUnavailable):
        return problem(status, error.code, "The database can't be reached.", hint="Try again in a moment.")
    return problem(status, error.code, error.what, error.why, error.hint)


def fields_of(told: Problem) -> dict[str, Any]:
    """The problem as the members of its JSON object."""
    found: dict[str, Any] = {
        "type": told.type,
        "title": told.title,
        "status": told.status,
        "code": told.code,
        "detail": told.detail,
    }
    return found | {name: text for name, text in (("why", told.why), ("try", told.try_)) if text}
