"""What a request about flows says: the number in its path, the JSON in its body, the options in its query.
Each mistake is raised in words that the caller can use.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

import msgspec

from postmill.model.errors import InvalidOption
from postmill.model.option_rules import did_you_mean
from postmill.model.queue.payload import loads, to_json
from postmill.web.routes import NoRoute
from postmill.web.websocket import ClientGone

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from postmill.web.asgi import Receive, Scope

_is_number = re.compile(r"[0-9]{1,18}", re.ASCII).fullmatch
"""18 digits: every number of so many fits into a bigint."""


def run_number(text: str) -> int:
    """The run that a path names. Raises :class:`NoRoute` for what is no number."""
    if not _is_number(text):
        raise NoRoute(text)
    return int(text)


async def json_of(receive: Receive, default: str) -> str:
    """The body as JSON text that the database can hold; ``default`` for an empty one. Raises
    :class:`InvalidPayload`, and :class:`ClientGone` when the caller leaves in the middle.
    """
    body = await _whole(receive)
    return to_json(msgspec.Raw(body), "body").decode() if body.strip() else default


async def fields_of(receive: Receive, *known: str) -> dict[str, Any]:
    """The body as a JSON object whose fields may be left out. Raises :class:`InvalidOption` for another one,
    and as :func:`json_of`.
    """
    found = loads(await json_of(receive, "{}"))
    if not isinstance(found, dict):
        raise InvalidOption("The body is no JSON object.", hint=f"Fields: {', '.join(known)}.")
    _check_names(found, known)
    return found


def options_of(scope: Scope, known: Mapping[str, Callable[[str], Any]]) -> dict[str, Any]:
    """The options in the query, each read by its function in ``known``; of equal names the last counts.
    Raises :class:`InvalidOption`.
    """
    query = scope.get("query_string", b"").decode("latin-1")
    given = dict(parse_qsl(query, keep_blank_values=True))
    _check_names(given, known)
    return {name: _read(name, value, known[name]) for name, value in given.items()}


def words(text: str) -> list[str]:
    """Words with commas between them."""
    return [word for word in text.split(",") if word]


def _read(name: str, value: str, reader: Callable[[str], Any]) -> Any:
    try:
        return reader(value)
    except ValueError as error:
        raise InvalidOption(f"{name}={value!r} in the query can't be read.", why=f"{error}.") from error


def _check_names(given: Mapping[str, Any], known: Collection[str]) -> None:
    for name in given:
        if name not in known:
            hint = did_you_mean(name, known) or f"Known here: {', '.join(known) or 'none'}."
            raise InvalidOption(f"There is no option {name!r} here.", hint=hint)


async def _whole(receive: Receive) -> bytes:
    pieces, is_whole = [], False
    while not is_whole:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientGone
        pieces.append(message.get("body", b""))
        is_whole = not message.get("more_body", False)
    return b"".join(pieces)
