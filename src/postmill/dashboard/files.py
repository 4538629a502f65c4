"""The style, the scripts and the sign of the dashboard. They are a few small files, read once."""

from __future__ import annotations

import mimetypes
from hashlib import sha256
from http import HTTPStatus
from typing import TYPE_CHECKING

from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse, Response

if TYPE_CHECKING:
    from pathlib import Path

    from postmill.web.asgi import Receive, Scope, Send


class Files:
    """Serves the files of ``folder``, none below it."""

    def __init__(self, folder: Path) -> None:
        self._files = {each.name: each.read_bytes() for each in folder.iterdir() if each.is_file()}
        self._tags = {name: f'"{sha256(body).hexdigest()[:16]}"' for name, body in self._files.items()}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One file; a browser that has it is told so. It asks each time: after an update it must not mix old
        scripts with new pages.
        """
        name = scope["path"].rpartition("/")[2]
        await self._answer(name, Headers(scope=scope))(scope, receive, send)

    def _answer(self, name: str, headers: Headers) -> Response:
        if name not in self._files:
            return PlainTextResponse("There is nothing here.", HTTPStatus.NOT_FOUND)
        kept = {"etag": self._tags[name], "cache-control": "no-cache"}
        if headers.get("if-none-match", "").removeprefix("W/") == self._tags[name]:
            return Response(None, HTTPStatus.NOT_MODIFIED, kept)
        kind = "text/javascript" if name.endswith(".js") else mimetypes.guess_type(name)[0]
        return Response(self._files[name], HTTPStatus.OK, kept, kind)
