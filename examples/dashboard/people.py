"""Who may look and act: here people that a proxy has signed in, as oauth2-proxy does. It must take this
header away from what clients send.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from postmill.api.viewer import Role, Viewer

if TYPE_CHECKING:
    from collections.abc import MutableMapping

ADMINS = {"ada@example.org"}


async def authorize(scope: MutableMapping[str, Any]) -> Viewer | None:
    """By the header ``x-forwarded-email``."""
    email = dict(scope["headers"]).get(b"x-forwarded-email", b"").decode("latin-1")
    if not email:
        return None
    return Viewer(email, Role.OPERATOR if email in ADMINS else Role.READER)
