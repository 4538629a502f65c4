"""Why the server itself ends a connection. The application decides what the answer looks like."""

from __future__ import annotations

from collections.abc import Callable
from http import HTTPStatus
from typing import NamedTuple


class Refusal(NamedTuple):
    """An answer of the server itself, after which the connection is closed."""

    status: int
    code: str
    message: str


Render = Callable[[Refusal], bytes]
"""Makes the whole answer, head and body."""

BAD_REQUEST = Refusal(400, "BAD_REQUEST", "The request is not HTTP.")
METHOD_NOT_ALLOWED = Refusal(405, "METHOD_NOT_ALLOWED", "This method is not served.")
HEADERS_TOO_LARGE = Refusal(431, "HEADERS_TOO_LARGE", "The request's head is too large.")
HEADERS_TOO_SLOW = Refusal(408, "REQUEST_TIMEOUT", "The request's head took too long.")
TOO_MANY_CONNECTIONS = Refusal(503, "CAPACITY", "There are too many connections.")
INTERNAL = Refusal(500, "INTERNAL", "The application ended without an answer.")


class Refused(Exception):
    """The request can't be served: ``refusal`` says why."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.message)
        self.refusal = refusal


def as_text(refusal: Refusal) -> bytes:
    """Plain text, for an application that has no form of its own."""
    body = f"{refusal.message}\n".encode()
    head = (
        f"HTTP/1.1 {refusal.status} {HTTPStatus(refusal.status).phrase}\r\n"
        f"content-type: text/plain; charset=utf-8\r\ncontent-length: {len(body)}\r\nconnection: close\r\n\r\n"
    )
    return head.encode() + body
