"""One request for a function as an ASGI exchange, with the whole answer kept up to a size."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import unquote

if TYPE_CHECKING:
    from collections.abc import Mapping, MutableMapping

MOST_SENT = 1_048_576
"""Characters of a request's body at most: a person types it, and a megabyte is a large example."""
MOST_SHOWN = 262_144
"""Bytes of an answer's body that are shown: a page with more is slow to read in any browser."""


class Asked(Protocol):
    """What is asked of the function."""

    @property
    def method(self) -> str:
        """As ``POST``."""

    @property
    def path(self) -> str:
        """Below the function's own, with a query."""

    @property
    def headers(self) -> dict[str, str]:
        """By name."""

    @property
    def body(self) -> str:
        """As text."""


class Exchange:
    """``scope``, ``receive`` and ``send`` are given to the host; what it has sent stands here afterwards."""

    def __init__(self, function: str, asked: Asked) -> None:
        self._sent = asked.body.encode()
        self._given = False
        path, _, query = asked.path.partition("?")
        root = f"/functions/v1/{function}"
        self.scope: MutableMapping[str, Any] = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.4"},
            "http_version": "1.1",
            "scheme": "http",
            "method": asked.method,
            "root_path": root,
            "path": root + unquote(path),
            "raw_path": (root + path).encode(),
            "query_string": query.encode(),
            "headers": [*_headers(asked.headers), (b"content-length", str(len(self._sent)).encode())],
            "client": None,
            "server": ("localhost", None),
        }
        self.status = 0
        self.headers: dict[str, str] = {}
        self.body = b""

    async def receive(self) -> MutableMapping[str, Any]:
        """The body at once; after it nothing comes, and the caller stays until the answer is there."""
        if self._given:
            await asyncio.Event().wait()
        self._given = True
        return {"type": "http.request", "body": self._sent, "more_body": False}

    async def send(self, message: MutableMapping[str, Any]) -> None:
        """Keep a part of the answer."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self.headers = {
                name.decode("latin-1"): value.decode("latin-1") for name, value in message["headers"]
            }
        elif message["type"] == "http.response.body" and len(self.body) <= MOST_SHOWN:
            self.body += message.get("body", b"")


def _headers(given: Mapping[str, str]) -> list[tuple[bytes, bytes]]:
    """Those that were given, with a type of JSON unless another one is among them. The length is our own."""
    wanted = {"content-type": "application/json", **{name.lower(): text for name, text in given.items()}}
    wanted.pop("content-length", None)
    return [
        (name.encode("latin-1", "replace"), text.encode("latin-1", "replace"))
        for name, text in wanted.items()
    ]
