"""Which hosts a request may name. A page of another site, whose name is made to point here (DNS rebinding),
sends its own name: it is refused. Pure.
"""

from __future__ import annotations

import ipaddress
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection

_HOST = re.compile(r"(\[[0-9a-fA-F:.]+\]|[^:\[\]/@\s]+)(?::[0-9]{1,5})?")


def name_of(host: str) -> str | None:
    """The name in a ``Host`` header, without its port, in lower case; None when it is none."""
    found = _HOST.fullmatch(host)
    return found[1].lower().rstrip(".") if found else None


def may_be_named(host: str, names: Collection[str]) -> bool:
    """Whether the header is an IP address, ``localhost``, or one of ``names`` (in lower case)."""
    name = name_of(host)
    if name is None:
        return False
    return name == "localhost" or name in names or _is_address(name)


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name.strip("[]"))
    except ValueError:
        return False
    return True
