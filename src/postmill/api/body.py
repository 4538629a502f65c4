"""The body of a request, read up to a bound."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING

from postmill.api.problem import Failure

if TYPE_CHECKING:
    from starlette.requests import Request


async def read_body(request: Request, most_bytes: int, what: str = "body") -> bytes:
    """All of it. Raises :class:`Failure` as soon as it is larger than ``most_bytes``, calling it ``what``."""
    read = bytearray()
    async for part in request.stream():
        read += part
        if len(read) > most_bytes:
            raise Failure(
                HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
                "payload-too-large",
                f"The {what} is larger than {most_bytes:,} bytes.",
            )
    return bytes(read)
