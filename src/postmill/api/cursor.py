"""Places in lists, as texts that only this API reads: a list goes on after the last row that was shown, so
that nothing is shown twice or left out while rows come and go. Pure.
"""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from http import HTTPStatus
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias, TypeVar

import msgspec
from msgspec import Meta, Struct

from postmill.api.problem import Failure

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

Row: TypeAlias = "dict[str, Any]"
T = TypeVar("T")

SHOWN = 50
"""Rows of a page that says nothing else. Fifty: two screens of a desktop, in one read of some
milliseconds.
"""
MOST_SHOWN = 200
"""Rows of a page at most. Two hundred of the usual size are some hundred KB; with payloads of 5 MB
each, the time limit of a read ends what this process could not hold.
"""

Limit: TypeAlias = Annotated[int, Meta(ge=1, le=MOST_SHOWN, description="Rows at most.")]
Cursor: TypeAlias = Annotated[str, Meta(max_length=1024, description="`next` of the page before.")]
Whole: TypeAlias = Annotated[int, Meta(ge=0, le=2**63 - 1)]
"""A part of a cursor: an id of the database."""


class Page(Struct, forbid_unknown_fields=True, kw_only=True):
    """Which part of a list is asked for."""

    limit: Limit = SHOWN
    cursor: Cursor | None = None


def after(page: Page, kind: type[T]) -> T | None:
    """Where the page begins; None at the beginning. Raises :class:`Failure` for what no list gave out."""
    if page.cursor is None:
        return None
    try:
        text = page.cursor.encode("ascii")
        return msgspec.json.decode(urlsafe_b64decode(text + b"=" * (-len(text) % 4)), type=kind)
    except (ValueError, msgspec.MsgspecError, RecursionError) as error:
        raise Failure(
            HTTPStatus.BAD_REQUEST,
            "invalid-cursor",
            "The cursor is not one that this list has given out.",
            hint="Begin without one.",
        ) from error


def paged(rows: Sequence[Row], page: Page, place: Callable[[Row], Any]) -> tuple[Sequence[Row], str | None]:
    """The rows of the page, and the cursor of the next. ``rows``: one more than the page has, if there are;
    ``place`` says where a row stands, as ``after`` gives it back.
    """
    shown = rows[: page.limit]
    if len(rows) <= page.limit:
        return shown, None
    return shown, urlsafe_b64encode(msgspec.json.encode(place(shown[-1]))).decode().rstrip("=")
