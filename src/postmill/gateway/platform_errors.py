"""What Postmill itself answers when a function does not: one JSON form, with the headers clients look for.

Pure. Holds no cause: a traceback goes to the log, never to the caller.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from http import HTTPStatus
from typing import TYPE_CHECKING

from postmill.auth.credentials import Reason
from postmill.model.functions.failures import FunctionFailure, ResponseCut
from postmill.model.functions.slug import RULE
from postmill.web.routes import NoRoute, WrongMethod

if TYPE_CHECKING:
    from postmill.web.asgi import Headers
    from postmill.web.refusal import Refusal

METHODS = ("POST", "GET", "PUT", "PATCH", "DELETE", "OPTIONS", "HEAD")
"""What a function can be called with."""

READABLE: Headers = (
    (b"access-control-allow-origin", b"*"),
    (b"access-control-expose-headers", b"sb-error-code, x-relay-error, x-sb-edge-region"),
)
"""Let a page of any origin read an answer."""

CORS_HEADERS: Headers = (
    *READABLE,
    (
        b"access-control-allow-headers",
        b"authorization, x-client-info, apikey, content-type, x-region",
    ),
    (b"access-control-allow-methods", ", ".join(METHODS).encode()),
)


@dataclass(frozen=True, slots=True)
class PlatformError:
    """One answer that is not the function's."""

    status: int
    code: str
    message: str
    reached: bool = False
    """Whether the function may have seen the request."""
    closing: bool = False
    """Whether the connection ends after it."""

    def body(self) -> bytes:
        """A JSON object whose values are all strings; older clients break on anything else."""
        fields = {"code": self.code, "message": self.message, "msg": self.message, "error": self.message}
        return json.dumps(fields).encode()

    def headers(self) -> list[tuple[bytes, bytes]]:
        """Those of the answer, but for its length."""
        told = [
            (b"content-type", b"application/json"),
            (b"sb-error-code", self.code.encode()),
            *CORS_HEADERS,
        ]
        if not self.reached:
            told.append((b"x-relay-error", b"true"))
        if self.status == HTTPStatus.METHOD_NOT_ALLOWED:
            told.append((b"allow", ", ".join(METHODS).encode()))
        if self.closing:
            told.append((b"connection", b"close"))
        return told

    def raw(self) -> bytes:
        """The whole answer, for a connection on which no request could be read."""
        body = self.body()
        lines = [f"HTTP/1.1 {self.status} {HTTPStatus(self.status).phrase}".encode()]
        length = (b"content-length", str(len(body)).encode())
        lines += [name + b": " + value for name, value in (*self.headers(), length)]
        return b"\r\n".join([*lines, b"", body])


class PlatformFailure(Exception):
    """Raised to answer with ``error``, wherever it shows that nothing else may answer."""

    def __init__(self, error: PlatformError) -> None:
        super().__init__(error.message)
        self.error = error


NOT_FOUND = PlatformError(404, "NOT_FOUND", "There is nothing at this address.")
METHOD_NOT_ALLOWED = PlatformError(405, "METHOD_NOT_ALLOWED", f"The method is none of {', '.join(METHODS)}.")
PAYLOAD_TOO_LARGE = PlatformError(413, "PAYLOAD_TOO_LARGE", "The request's body is too large.", closing=True)
BODY_TOO_LARGE = replace(PAYLOAD_TOO_LARGE, reached=True)
BODY_TOO_SLOW = PlatformError(
    408, "REQUEST_TIMEOUT", "The request's body came too slowly.", reached=True, closing=True
)
FORBIDDEN = PlatformError(403, "FORBIDDEN", "This needs the service role.")
OF_ONE_RUN = replace(FORBIDDEN, message="The token of a run opens nothing but that run.")
OF_A_VIEWER = replace(FORBIDDEN, message="A key to the dashboard opens no function.")
NOT_THIS_RUN = replace(FORBIDDEN, message="This needs the service role, or the token of this run.")
BAD_REQUEST = PlatformError(400, "BAD_REQUEST", "The request can't be understood.", reached=True)
CONFLICT = PlatformError(409, "CONFLICT", "The run is in no state for this.", reached=True)
KEY_CONFLICT = PlatformError(409, "KEY_CONFLICT", "A run with other input has this key.", reached=True)
DATABASE_UNAVAILABLE = PlatformError(
    503,
    "DATABASE_UNAVAILABLE",
    "The database does not answer just now. Whether this was done is not known: ask again later, a start with"
    " the same Idempotency-Key.",
    reached=True,
)
INTERNAL = PlatformError(500, "INTERNAL", "Postmill did not expect this; its log says more.", reached=True)

_UNAUTHORIZED = {
    Reason.NO_AUTH_HEADER: "There is neither an Authorization nor an apikey header.",
    Reason.INVALID_JWT_FORMAT: "The credentials are neither a JWT nor a key of this project.",
    Reason.LEGACY_JWT: "The JWT has expired, or it was not signed with a key of this project.",
    Reason.UNSUPPORTED_ALGORITHM: "The JWT's algorithm is not one that this project verifies.",
}


def no_function(name: str) -> PlatformError:
    """The answer where a path names no function that is served."""
    if not RULE.fullmatch(name):
        return NOT_FOUND
    return replace(NOT_FOUND, message=f"There is no function {name}.")


def not_ready(reason: str) -> PlatformError:
    """The answer of ``/ready`` as long as nothing should be sent here."""
    return PlatformError(503, "NOT_READY", f"Not ready: {reason}.")


def unauthorized(reason: Reason) -> PlatformError:
    """The answer to credentials that prove nothing."""
    return PlatformError(401, reason.value, _UNAUTHORIZED[reason])


def rendered(refusal: Refusal) -> bytes:
    """The whole answer to what the server refuses before there is a request."""
    return PlatformError(refusal.status, refusal.code, refusal.message, closing=True).raw()


def readable_headers(given: Headers) -> Headers:
    """What lets a page of any origin read an answer; nothing when its headers say which pages may."""
    return () if any(name == READABLE[0][0] for name, _ in given) else READABLE


def of(error: Exception) -> PlatformError | None:
    """The answer for an error; None: the error is a bug of Postmill."""
    match error:
        case PlatformFailure():
            return error.error
        case FunctionFailure():
            return of_failure(error)
        case ResponseCut():
            return of_failure(error.failure)
        case WrongMethod():
            return METHOD_NOT_ALLOWED
        case NoRoute():
            return NOT_FOUND
    return None


def of_failure(failure: FunctionFailure) -> PlatformError:
    """The answer for what happened to the function."""
    return PlatformError(failure.status, failure.code, failure.what, reached=failure.reached)
