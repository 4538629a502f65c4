"""How ``flow.call`` and ``ctx.call`` reach edge functions: over HTTP, with the address and the key that the
environment has wherever the function host runs a file; or as the program says.
"""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias
from urllib.parse import quote

from postmill.model.errors import Refused
from postmill.model.queue.payload import loads, to_json

URL = "SUPABASE_URL"
"""Names the variable with the address; the host sets it."""
KEY = "SUPABASE_SERVICE_ROLE_KEY"
"""Names the variable with the key; the host sets it."""
QUOTED = 300
"""Characters of an answer that the error quotes: about four lines of a terminal."""

Transport: TypeAlias = Callable[[str, Any], Awaitable[Any]]
"""Calls an edge function by its name, with a body that JSON can say; returns what it answers, as JSON has it.
Raises whatever is a failed attempt: no answer, or one that tells of an error.
"""


class CallFailed(Exception):
    """A function has answered with an error, or with what is no JSON."""


class _Process:
    """What holds for this process."""

    transport: Transport | None = None


_process = _Process()


def use_transport(transport: Transport | None) -> None:
    """How functions are reached from now on, in this process; None: over HTTP, as the environment says."""
    _process.transport = transport


async def call_function(function: str, body: object) -> Any:
    """What the edge function answers. Raises :class:`CallFailed`, :class:`Refused` where nothing says how to
    reach it, and what the transport raises. No time limit but the step's.
    """
    if _process.transport is not None:
        return await _process.transport(function, body)
    url, key = os.environ.get(URL), os.environ.get(KEY)
    if not url or not key:
        raise Refused(
            f"The function {function!r} can't be called from here.",
            why=f"{URL} and {KEY} are not both set, and say where functions are served.",
            hint="Set them (to where postmill serve says that functions are, without the path, and to what"
            " postmill keys show service_role prints), or give a way of your own:"
            " postmill.flows.use_transport(...).",
        )
    return await _over_http(f"{url.rstrip('/')}/functions/v1/{quote(function)}", key, body)


async def _over_http(url: str, key: str, body: object) -> Any:
    try:
        import aiohttp  # noqa: PLC0415 - an extra, and only calls need it
    except ImportError:
        raise Refused(
            "Functions can't be called here.",
            why="aiohttp is not installed.",
            hint="pip install 'postmill[calls]'",
        ) from None
    headers = {"apikey": key, "Authorization": f"Bearer {key}", "Content-Type": "application/json"}
    async with (
        aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=None)) as session,
        session.post(url, data=to_json(body), headers=headers, allow_redirects=False) as response,
    ):
        text = (await response.read()).decode(errors="replace")
        if not response.ok or response.status >= 300:
            raise CallFailed(f"{response.status} {response.reason}: {text[:QUOTED]}")
    return _answer(text)


def _answer(text: str) -> Any:
    """What the text says; an empty one says None."""
    if not text:
        return None
    try:
        return loads(text)
    except Exception as error:
        raise CallFailed(f"the answer is no JSON: {text[:QUOTED]}") from error
