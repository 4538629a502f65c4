"""Lets an ASGI application work below its function's address."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from postmill.web.asgi import Application, Receive, Scope, Send


def mounted(app: Application) -> Application:
    """``app``, for which ``/functions/v1/<slug>`` is the same as ``/functions/v1/<slug>/``.

    Clients call a function without a slash at the end; a router would answer its own ``/`` with a redirect.
    """

    async def at_home(scope: Scope, receive: Receive, send: Send) -> None:
        if scope.get("root_path") and scope["path"] == scope["root_path"]:
            scope = {**scope, "path": scope["path"] + "/"}
        await app(scope, receive, send)

    return at_home
