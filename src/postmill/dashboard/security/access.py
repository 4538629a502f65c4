"""Who sends a request: by the application's own rule where one is given, else by a bearer key or the cookie
of a person who has signed in.
"""

from __future__ import annotations

import secrets
import time
from dataclasses import replace
from http.cookies import CookieError, SimpleCookie
from typing import TYPE_CHECKING

from starlette.datastructures import Headers

from postmill.dashboard.security.cookies import Seal

if TYPE_CHECKING:
    from postmill.api.viewer import Authorize, Viewer
    from postmill.dashboard.security.keys import Keys
    from postmill.web.asgi import Scope


class Access:
    """``authorize`` or ``keys`` decide. ``signs_in``: whether people sign in here, with a key."""

    def __init__(self, authorize: Authorize | None, keys: Keys | None) -> None:
        self._authorize = authorize
        self._keys = keys
        self.seal = Seal(secrets.token_urlsafe() if keys is None else keys.signing)
        self.signs_in = keys is not None

    async def viewer(self, scope: Scope) -> Viewer | None:
        """Who it is, with the address that the request came from; None: nobody who is known."""
        found = await self._authorize(scope) if self._authorize is not None else self._by_key(scope)
        client = scope.get("client")
        return replace(found, source=str(client[0])) if found and client and not found.source else found

    def viewer_of_key(self, key: str) -> Viewer | None:
        """Whose key it is."""
        return self._keys.viewer(key.strip()) if self._keys is not None else None

    def _by_key(self, scope: Scope) -> Viewer | None:
        headers = Headers(scope=scope)
        if bearer := bearer_of(headers):
            return self.viewer_of_key(bearer)
        return self.seal.viewer(cookie_of(headers, self.seal.cookie("session")), time.time())


def bearer_of(headers: Headers) -> str:
    """The key in ``Authorization: Bearer``; empty when there is none."""
    scheme, _, key = headers.get("authorization", "").strip().partition(" ")
    return key.strip() if scheme.lower() == "bearer" else ""


def cookie_of(headers: Headers, name: str) -> str:
    """The cookie of that name; empty when there is none."""
    try:
        found = SimpleCookie(headers.get("cookie", "")).get(name)
    except CookieError:
        return ""
    return found.value if found is not None else ""
