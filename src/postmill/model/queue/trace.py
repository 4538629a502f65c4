"""Which trace a message belongs to, by the header ``traceparent`` (W3C Trace Context). Pure."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

PLACE = "{trace_id}"
"""What stands for the id in a template of an address."""
_TRACEPARENT = re.compile(
    r"(?!ff|00.{53}.)[0-9a-f]{2}-(?P<id>(?!0{32})[0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}(?:-.*)?"
)
"""Version ff is none, version 00 has no more parts than these, and an id of zeros is none."""


def trace_id(headers: Mapping[str, object] | None) -> str | None:
    """The id of its trace, 32 digits; None without one that can be read."""
    found = _TRACEPARENT.fullmatch(str((headers or {}).get("traceparent", "")))
    return found["id"] if found else None


def trace_address(template: str | None, trace: str | None) -> str | None:
    """Where the trace is shown; None when either is not known."""
    return None if template is None or trace is None else template.replace(PLACE, trace)
