"""What was sent to a queue, whatever has become of it since."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, Any

from postmill.db.reads.messages import listed
from postmill.db.tools.connect import connect, translated
from postmill.model.config.address import parse

if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_MESSAGES = 10_000
"""The most messages of a queue that are compared. 10,000: a test sends tens, and a larger result would be no
list that a person reads.
"""
_SHOWN = 10
"""Messages that are shown when an assertion fails. Ten fit on a screen; the number of the others is said."""


def sent(database: str, queue: str) -> list[dict[str, Any]]:
    """Every message that is in ``queue`` or was, oldest first, at most 10,000: ``msg_id``, ``state``,
    ``attempts``, ``message``, ``headers``, ``vt`` and more. Blocks for the time of one query.

    Messages that were deleted when they were done leave no trace. Raises ``QueueNotFound``.
    """
    address = parse(database)
    with closing(connect(address)) as connection, translated(address):
        return listed(connection, queue, state=None, limit=MAX_MESSAGES, before=None)[::-1]


def assert_sent(
    database: str,
    queue: str,
    payload: Any = ...,
    *,
    headers: Mapping[str, object] | None = None,
    count: int | None = None,
) -> list[dict[str, Any]]:
    """Assert that messages like this were sent to ``queue``, and return them, oldest first.

    ``payload``: a dict matches when the message has these keys with these values, anything else when it is
    equal; left out, every message does. ``headers`` match like a dict. ``count``: the exact number of
    messages; left out, at least one.
    """
    messages = sent(database, queue)
    found = [each for each in messages if _matches(each, payload, headers)]
    right = bool(found) if count is None else len(found) == count
    if not right:
        wanted = "at least one message" if count is None else f"{count} messages"
        like = "" if payload is ... else f" like {payload!r}"
        raise AssertionError(f"{wanted}{like} in {queue}, found {len(found)} of {_listed(messages)}")
    return found


def _matches(message: Mapping[str, Any], payload: Any, headers: Mapping[str, object] | None) -> bool:
    return (payload is ... or _like(message["message"], payload)) and (
        headers is None or _like(message["headers"], dict(headers))
    )


def _like(value: Any, wanted: Any) -> bool:
    if not isinstance(wanted, dict):
        return bool(value == wanted)
    return isinstance(value, dict) and all(
        name in value and _like(value[name], part) for name, part in wanted.items()
    )


def _listed(messages: list[dict[str, Any]]) -> str:
    lines = [f"\n  {each['msg_id']} {each['state']}: {each['message']!r}" for each in messages[:_SHOWN]]
    more = f"\n  and {len(messages) - _SHOWN} more" if len(messages) > _SHOWN else ""
    return f"{len(messages)}{':' if lines else ''}{''.join(lines)}{more}"
