"""Whether a request that changes something was sent by a page of another origin. Pure.

A browser adds a viewer's cookie to whatever any page sends here. What it says about the page is believed:
``Sec-Fetch-Site``, and on plain HTTP, where that is missing, ``Origin``. The scheme is not compared: behind a
proxy that ends TLS it is another one here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Mapping

SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
"""Methods that change nothing, so that any page may send them: it can't read the answer."""


def is_foreign(method: str, headers: Mapping[str, str]) -> bool:
    """Whether it must be refused. A program that sends a key says neither, and may."""
    if method in SAFE:
        return False
    site = headers.get("sec-fetch-site")
    if site is not None:
        return site not in {"same-origin", "none"}
    origin = headers.get("origin")
    if origin is not None:
        return not _is_own(origin, headers.get("host", ""))
    return "cookie" in headers and "authorization" not in headers


def _is_own(origin: str, host: str) -> bool:
    try:
        return bool(host) and urlsplit(origin).netloc.casefold() == host.casefold()
    except ValueError:
        return False
