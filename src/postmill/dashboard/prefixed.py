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
        self._raw = quote(prefix).encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] in {"http", "websocket"}:
            scope = {**scope, "root_path": self._prefix, **self._path(scope)}
        await self._inner(scope, receive, send)

    def _path(self, scope: Scope) -> dict[str, object]:
        path = scope["path"]
        raw = scope.get("raw_path") or quote(path).encode()
        if path == self._prefix:
            return {"path": f"{path}/", "raw_path": raw + b"/"}
        if path.startswith(f"{self._prefix}/"):
            return {"path": path, "raw_path": raw}
        return {"path": self._prefix + path, "raw_path": self._raw + raw}
