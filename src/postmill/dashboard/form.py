"""Forms as browsers send them, bounded: ``application/x-www-form-urlencoded``, never multipart."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl

from postmill.api.body import read_body
from postmill.api.misfit import check_no_nul
from postmill.api.problem import Failure

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.requests import Request

MOST_BYTES = 4 * 1024 * 1024
"""Bytes of a form at most. 4 MiB: an edited payload of 1 MiB, as the API takes it, is up to three times as
long once a browser has encoded it.
"""
MOST_FIELDS = 1_000
"""Fields of a form at most. A list shows 100 messages at once, each with one box; ten times that is ample."""
KIND = "application/x-www-form-urlencoded"


async def read_form(request: Request) -> dict[str, list[str]]:
    """Every value of each name. Raises :class:`Failure` for another type, or what is too large."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind not in {KIND, ""}:
        raise _other(kind)
    read = await read_body(request, MOST_BYTES, "form")
    if read and not kind:
        raise _other(kind)
    return _parsed(read)


def _other(kind: str) -> Failure:
    return Failure(
        HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
        "unsupported-media-type",
        f"A form is {KIND}, and not {kind or 'of no stated type'}.",
    )


def _parsed(body: bytes) -> dict[str, list[str]]:
    try:
        pairs = parse_qsl(
            body.decode("ascii"), keep_blank_values=True, max_num_fields=MOST_FIELDS, errors="strict"
        )
    except ValueError as error:
        raise Failure(
            HTTPStatus.BAD_REQUEST, "invalid-option", "The form can't be read.", why=str(error)
        ) from error
    check_no_nul(text for _, text in pairs)
    found: dict[str, list[str]] = {}
    for name, text in pairs:
        found.setdefault(name, []).append(text.replace("\r\n", "\n"))
    return found


def last_of(fields: Mapping[str, list[str]]) -> dict[str, str]:
    """One value of each name."""
    return {name: texts[-1] for name, texts in fields.items()}
