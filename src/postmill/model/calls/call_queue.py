"""A queue whose messages are calls: what is sent for a message, and what its answer means for it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import orjson

from postmill.model.calls.call import Answer, Call, asked_wait_s, filled
from postmill.model.error_text import KEPT_TEXT
from postmill.model.queue.outcome import Completed, Retry
from postmill.model.queue.retry import Dead

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

QUOTED = 300
"""Characters of an answer that the record of a failed attempt begins with: a line or two."""


@dataclass(frozen=True, slots=True)
class FunctionHost:
    """Where the project's functions are served, and the key that opens them."""

    url: str
    bearer: str = field(repr=False)

    def call(
        self, function: str, method: str, headers: Mapping[str, str], body: bytes | None, timeout_s: float
    ) -> Call:
        """The call of a function, with the key. The headers may not name another one."""
        headers = {name: value for name, value in headers.items() if name.lower() != "authorization"}
        headers["Authorization"] = f"Bearer {self.bearer}"
        return Call(method, f"{self.url}/functions/v1/{function}", headers, body, timeout_s)


@dataclass(frozen=True, slots=True)
class CallQueue:
    """One call queue."""

    queue: str
    function: str | None
    """The function that is called; None: ``url`` is."""
    url: str | None = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)
    max_attempts: int
    timeout_s: float
    secrets: tuple[str, ...] = ()
    """Secrets that its URL and headers name."""
    role: str = ""
    """The role that has made it, or changed it last: its secrets are filled in."""

    def call_of(self, payload: str, host: FunctionHost | None, secrets: Mapping[str, str]) -> Call:
        """The call for a message. The key goes to functions of the project only; a URL gets exactly the
        queue's headers. Raises ``MissingSecret``, and :class:`Retry` when functions are served nowhere.
        """
        headers = {name: filled(value, secrets) for name, value in self.headers.items()}
        if not any(name.lower() == "content-type" for name in headers):
            headers["Content-Type"] = "application/json"
        if self.function is None:
            return Call("POST", filled(self.url or "", secrets), headers, payload.encode(), self.timeout_s)
        if host is None:
            raise Retry("functions are served nowhere: postmill serve or postmill dev")
        return host.call(self.function, "POST", headers, payload.encode(), self.timeout_s)


class CallFailed(Retry):
    """The call of a message failed. Its note, which the record of the attempt keeps as the traceback, is the
    answer.
    """


def outcome_of(answer: Answer, now: datetime) -> Completed | Retry | Dead:
    """What becomes of the message: completed with the answer, a failed attempt, or dead when it can't be
    called at all.
    """
    if answer.succeeded:
        return Completed({"status": answer.status, "headers": dict(answer.headers), "body": _body(answer)})
    if answer.is_refused:
        return Dead(answer.error or "")
    failed = CallFailed(_in_short(answer), after=asked_wait_s(answer, now))
    failed.add_note(_in_full(answer))
    return failed


def _body(answer: Answer) -> Any:
    """Decoded where it is JSON, so that SQL can look into it."""
    content = answer.content or ""
    if "json" in (answer.content_type or "").lower():
        try:
            return orjson.loads(content)
        except orjson.JSONDecodeError:
            return content
    return content


def _in_short(answer: Answer) -> str:
    if answer.status is None:
        return answer.error or ""
    said = answer.error or " ".join((answer.content or "").split())[:QUOTED]
    return f"HTTP {answer.status}: {said}".removesuffix(": ")


def _in_full(answer: Answer) -> str:
    if answer.status is None:
        return ""
    headers = "\n".join(f"{name}: {value}" for name, value in answer.headers.items())
    content = (answer.content or "")[: KEPT_TEXT // 2]
    return f"HTTP {answer.status}\n{headers[: KEPT_TEXT // 4]}\n\n{content}"
