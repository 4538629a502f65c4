"""Viewers by the keys of a project: those that were issued to a name, and the project's own, which open
everything.
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from postmill.api.viewer import Role, Viewer
from postmill.auth import viewer_token
from postmill.auth.credentials import Granted, Headers, Trusted, authenticate

if TYPE_CHECKING:
    from collections.abc import Callable, MutableMapping

    from postmill.auth.keys import ProjectKeys
    from postmill.auth.viewer_token import Issued

SERVICE_ROLE = "service_role"


@dataclass(frozen=True, slots=True)
class ViewerKeys:
    """``clock``: seconds since 1970."""

    keys: ProjectKeys
    clock: Callable[[], float]

    async def authorize(self, scope: MutableMapping[str, Any]) -> Viewer | None:
        """By the headers of a request: ``authorization: Bearer KEY``, or ``apikey: KEY``."""
        return self._by(scope["headers"])

    def viewer(self, given: str) -> Viewer | None:
        """The viewer that has this key; None: it is no key."""
        return self._by(_bearing(given)) if given.isascii() else None

    def issued(self, given: str) -> Issued | None:
        """What a key that was issued to a name says; None: it is no such key, or has ended."""
        if not given.isascii():
            return None
        granted = authenticate(_bearing(given), Trusted(self.keys), self.clock())
        return viewer_token.issued(granted) if isinstance(granted, Granted) else None

    @property
    def signing(self) -> str:
        """A secret for the cookies of viewers that have signed in: another one than that of tokens."""
        return hmac.digest(self.keys.jwt_secret.encode(), b"postmill: cookies of viewers", "sha256").hex()

    def _by(self, headers: Headers) -> Viewer | None:
        granted = authenticate(headers, Trusted(self.keys), self.clock())
        if not isinstance(granted, Granted):
            return None
        if granted.role == SERVICE_ROLE and not viewer_token.is_for_viewers(granted):
            return Viewer(SERVICE_ROLE, Role.OPERATOR)
        found = viewer_token.issued(granted)
        return None if found is None else Viewer(found.name, Role(found.role))


def _bearing(key: str) -> Headers:
    return [(b"authorization", b"Bearer " + key.encode())]
