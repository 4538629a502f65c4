"""Whether a request that writes comes from the dashboard's own pages. Pure.

A browser says by ``Sec-Fetch-Site`` where a request comes from, on https and on localhost. Elsewhere on plain
http it sends ``Origin`` with every post. A cookie is sent along by any page, so with neither header it proves
nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
"""Methods that change nothing."""


def is_own(headers: Mapping[str, str], scheme: str) -> bool:
    """Whether the own pages sent it; ``scheme`` is the request's."""
    site = headers.get("sec-fetch-site")
    if site is not None:
        return site == "same-origin"
    origin, host = headers.get("origin"), headers.get("host")
    return origin is not None and host is not None and origin.lower() == f"{scheme}://{host}".lower()
