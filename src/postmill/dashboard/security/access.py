"""Who sends a request: by the application's own rule where one is given, else by a bearer key or the cookie
of a person who has signed in.
"""

from __future__ import annotations

import hmac
import secrets
import time
from dataclasses import replace
from typing import TYPE_CHECKING

from starlette.datastructures import Headers

from postmill.dashboard.security.cookies import Seal

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from postmill.api.viewer import Authorize, Viewer
    from postmill.dashboard.security.keys import Keys, Opened
    from postmill.web.asgi import Scope

    IsRevoked = Callable[[str, str, float], Awaitable[bool]]
    """Whether the key with this id, issued to this name at this time (seconds since 1970), is revoked."""

TICKET_S = 900.0
"""How long a link that signs in once may be used, in seconds. A quarter of an hour: it is clicked when it is
printed, and what stays in a terminal or a log is soon worth nothing.
"""


class Access:
    """``authorize`` or ``keys`` decide, and for keys that were issued to a name ``is_revoked``. ``signs_in``:
    whether people sign in here, with a key.
    """

    def __init__(self, authorize: Authorize | None, keys: Keys | None, is_revoked: IsRevoked) -> None:
        self._authorize = authorize
        self._keys = keys
        self._is_revoked = is_revoked
        self.seal = Seal(secrets.token_urlsafe() if keys is None else keys.signing)  # no keys: signs nothing
        self.signs_in = keys is not None
        self._ticket, self._ticket_ends = "", 0.0

    async def viewer(self, scope: Scope) -> Viewer | None:
        """Who it is, with the address that the request came from; None: the visitor is not known. Raises
        ``DatabaseUnavailable`` when it can't be asked whether an issued key is revoked.
        """
        found = await self._authorize(scope) if self._authorize is not None else await self._by_key(scope)
        client = scope.get("client")
        return replace(found, source=str(client[0])) if found and client and not found.source else found

    async def opened(self, key: str) -> Opened | None:
        """What the key opens; None: it is no key, or none any more. Raises as :meth:`viewer`."""
        return await self._while_it_holds(self._keys.opened(key.strip()) if self._keys is not None else None)

    def new_ticket(self) -> str:
        """What signs an operator in, once: the person who started the process could read the keys too."""
        self._ticket = secrets.token_urlsafe()
        self._ticket_ends = time.monotonic() + TICKET_S
        return self._ticket

    def use_ticket(self, given: str) -> Opened | None:
        """What an operator's key opens, for the right ticket; from then on it is worth nothing."""
        known, fits = self._ticket, hmac.compare_digest(given.encode(), self._ticket.encode())
        if not known or not fits or time.monotonic() > self._ticket_ends or self._keys is None:
            return None
        self._ticket = ""
        return self._keys.by_ticket()

    async def _by_key(self, scope: Scope) -> Viewer | None:
        headers = Headers(scope=scope)
        if bearer := bearer_of(headers):
            found = await self.opened(bearer)
        else:
            found = await self._by_cookie(headers)
        return None if found is None else found.viewer

    async def _by_cookie(self, headers: Headers) -> Opened | None:
        """By the first that holds: an old one of another path must not keep a person out."""
        for cookie in cookies_of(headers, self.seal.cookie("session")):
            if found := await self._while_it_holds(self.seal.opened(cookie, time.time())):
                return found
        return None

    async def _while_it_holds(self, opened: Opened | None) -> Opened | None:
        """Unless its key was changed, taken out of the settings, or revoked."""
        if opened is None or self._keys is None or not self._keys.still_holds(opened):
            return None
        if opened.issued_s is None:
            return opened
        gone = await self._is_revoked(opened.mark, opened.viewer.name, opened.issued_s)
        return None if gone else opened


def bearer_of(headers: Headers) -> str:
    """The key in ``Authorization: Bearer``; empty when there is none."""
    scheme, _, key = headers.get("authorization", "").strip().partition(" ")
    return key.strip() if scheme.lower() == "bearer" else ""


def cookies_of(headers: Headers, name: str) -> list[str]:
    """The cookies of that name: a browser sends one for each path and domain that has it. What others on the
    host have written beside them may be anything, such as JSON: Python's own reader stops there.
    """
    parts = (part.partition("=") for line in headers.getlist("cookie") for part in line.split(";"))
    return [value.strip(' \t"') for each, _, value in parts if each.strip() == name]
