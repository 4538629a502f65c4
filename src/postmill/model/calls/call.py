"""A call and its answer, as values."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

LONGEST_WAIT_S = 3600.0
"""The longest delay that a server can ask for with ``Retry-After``, in seconds. An hour: a server that says a
year by mistake costs no job.
"""
RETRIED = frozenset({408, 425, 429})
"""Status codes below 500 that pass by themselves."""
_SECRET = re.compile(r"\{\{secret:([^{}\s\"]+)\}\}")


@dataclass(frozen=True, slots=True)
class Call:
    """One HTTP request."""

    method: str
    url: str = field(repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    body: bytes | None = None
    timeout_s: float = 5.0


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of a call."""

    status: int | None = None
    """None: no answer came."""
    headers: Mapping[str, str] = field(default_factory=dict)
    content_type: str | None = None
    content: str | None = None
    error: str | None = None
    """Why there is no answer, or why it is not kept, in words."""
    timed_out: bool = False
    is_unknown: bool = False
    """The call was cut off: it may have taken effect or not."""
    is_refused: bool = False
    """The call can't be made at all: it was not sent, and a further attempt would meet the same."""

    def with_error(self, error: str | None) -> Answer:
        """The same with another text."""
        return replace(self, error=error)

    @property
    def succeeded(self) -> bool:
        """Whether the server has done what was asked."""
        return self.error is None and self.status is not None and 200 <= self.status < 300

    @property
    def kind(self) -> str:
        """How it ended, for metrics: ``succeeded``, ``error_status``, ``timed_out``, ``unknown``, ``refused``
        or ``failed``.
        """
        if self.succeeded:
            return "succeeded"
        if self.timed_out:
            return "timed_out"
        if self.is_unknown:
            return "unknown"
        return "refused" if self.is_refused else "failed" if self.error else "error_status"

    @property
    def may_pass(self) -> bool:
        """Whether another attempt may succeed."""
        if self.status is None:
            return not self.is_refused
        return self.status >= 500 or self.status in RETRIED


class MissingSecret(LookupError):
    """A secret that the call names is not kept where it is made, or its role may not use it."""

    def why(self, granted: Collection[str], role: str) -> str:
        """The reason in words; ``granted``: what ``role`` may use."""
        if str(self) in granted:
            return f"there is no secret {self} where the call is made"
        return (
            f"role {role} may not use the secret {self} any more: postmill secrets grant {self} --to {role}"
        )


def filled(text: str, secrets: Mapping[str, str]) -> str:
    """``text`` with the values of ``secrets`` in their places. Raises :class:`MissingSecret`."""

    def value(place: re.Match[str]) -> str:
        try:
            return secrets[place[1]]
        except KeyError:
            raise MissingSecret(place[1]) from None

    return _SECRET.sub(value, text)


def hidden(text: str, secrets: Mapping[str, str]) -> str:
    """``text`` without the values of ``secrets``, longest first: one may be a part of another."""
    for name, value in sorted(secrets.items(), key=lambda item: -len(item[1])):
        if value:
            text = text.replace(value, f"{{{{secret:{name}}}}}")
    return text


def asked_wait_s(answer: Answer, now: datetime) -> float | None:
    """How long the server asks to wait with ``Retry-After``, in seconds; None when it does not, or when that
    can't be read. Only 429 and 503 ask (RFC 9110, section 10.2.3).
    """
    if answer.status not in {429, 503}:
        return None
    asked = next((value for name, value in answer.headers.items() if name.lower() == "retry-after"), "")
    wait_s = _seconds(asked.strip(), now)
    return None if wait_s is None else min(max(wait_s, 0.0), LONGEST_WAIT_S)


def _seconds(asked: str, now: datetime) -> float | None:
    if asked.isascii() and asked.isdigit():
        return float(asked[:10])
    try:
        at = parsedate_to_datetime(asked)
    except (ValueError, OverflowError, TypeError):
        return None
    return (at.replace(tzinfo=at.tzinfo or UTC) - now).total_seconds()
