"""How a failure to do what was asked of a run is answered."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from postmill.db.hot.outage import is_passing
from postmill.gateway import platform_errors
from postmill.gateway.platform_errors import PlatformError, PlatformFailure
from postmill.model.errors import (
    DatabaseUnavailable,
    InvalidOption,
    InvalidPayload,
    KeyConflict,
    NotFound,
    PayloadTooLarge,
    PostmillError,
    Refused,
    SchemaMissing,
    TimedOut,
)
from postmill.web.websocket import ClientGone

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from postmill.gateway.wrappers import Response
    from postmill.web.asgi import Receive, Scope

_SAID: tuple[tuple[type[PostmillError], PlatformError], ...] = (
    (PayloadTooLarge, replace(platform_errors.BODY_TOO_LARGE, closing=False)),
    (InvalidPayload, platform_errors.BAD_REQUEST),
    (InvalidOption, platform_errors.BAD_REQUEST),
    (NotFound, replace(platform_errors.NOT_FOUND, reached=True)),
    (KeyConflict, platform_errors.KEY_CONFLICT),
    (Refused, platform_errors.CONFLICT),
)
"""Answered in the error's own words. The first that fits: a class stands before those that it is one of."""


class AnswerErrors:
    """Round an application that asks the database: its errors become answers, the others pass."""

    def __init__(self, application: Callable[..., Awaitable[None]]) -> None:
        self._application = application

    async def __call__(self, scope: Scope, receive: Receive, response: Response, *names: str) -> None:
        """Raise :class:`PlatformFailure` for each that its caller can do something about."""
        try:
            await self._application(scope, receive, response, *names)
        except (PlatformFailure, ClientGone):
            raise
        except Exception as error:
            problem = problem_of(error)
            if problem is None:
                raise
            raise PlatformFailure(problem) from error


def problem_of(error: Exception) -> PlatformError | None:
    """The answer; None: the error is none of the database's, or a bug."""
    match error:
        case DatabaseUnavailable() | TimedOut():
            return platform_errors.DATABASE_UNAVAILABLE  # its words may name the server's address
        case SchemaMissing():
            return replace(platform_errors.DATABASE_UNAVAILABLE, message=str(error))
        case PostmillError():
            return next(
                (replace(answer, message=str(error)) for kind, answer in _SAID if isinstance(error, kind)),
                None,
            )
    return platform_errors.DATABASE_UNAVAILABLE if is_passing(error) else None
