"""The dashboard below a path of a proxy. Some proxies pass the path on whole, some take their part away: both
are understood, and every link has the whole path.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote

if TYPE_CHECKING:
    from postmill.web.asgi import Application, Receive, Scope, Send


class Prefixed:
    """An application at ``prefix``, a path that begins with a slash and does not end with one."""

    def __init__(self, inner: Application, prefix: str) -> None:
        self._inner = inner
        self._prefix = prefix

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] in {"http", "websocket"}:
            scope = at(scope, self._prefix)
        await self._inner(scope, receive, send)


def at(scope: Scope, prefix: str) -> Scope:
    """The scope of a request for what is at ``prefix``, whether or not that is a part of its path."""
    path = scope["path"]
    raw = scope.get("raw_path") or quote(path).encode()
    if path == prefix:
        path, raw = f"{path}/", raw + b"/"
    elif not path.startswith(f"{prefix}/"):
        path, raw = prefix + path, quote(prefix).encode() + raw
    return {**scope, "root_path": prefix, "path": path, "raw_path": raw}
