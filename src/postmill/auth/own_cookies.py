"""Cookies of the dashboard. A browser sends them to every port of a host, so also to functions, which must
not see them. Pure.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

PREFIX = "postmill_"
"""Begins the name of each."""


def without_own(headers: Iterable[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """The headers of a request (names in lower case, as ASGI has them) without those cookies."""
    kept = []
    for name, value in headers:
        if name == b"cookie":
            others = [part for part in value.split(b";") if not _is_own(part)]
            if others:
                kept.append((name, b";".join(others).strip()))
        else:
            kept.append((name, value))
    return kept


def _is_own(cookie: bytes) -> bool:
    return cookie.strip(b' \t"').lower().startswith(PREFIX.encode())
