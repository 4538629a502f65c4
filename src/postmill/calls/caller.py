"""Makes the calls that were asked for in SQL: takes those that are due, makes each in a task of its own, and
hands the answers on.

Leaderless: rows are taken with SKIP LOCKED. That a call has started is committed before it is sent, so it is
sent once at most, or again only where that was asked for. Each host has a bound of its own, so that a slow
one keeps no other waiting.
"""

from __future__ import annotations

import asyncio
import math
import random
from collections import Counter
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import orjson

from postmill.calls.call_claims import CallClaims
from postmill.db.hot.looking_service import QUIET_S, LookingService
from postmill.model.calls.call import Answer, Call, asked_wait_s, filled
from postmill.model.error_text import storable, summary_of
from postmill.model.events import Event
from postmill.model.queue.retry import ExponentialRetry
from postmill.service.service import new_task
from postmill.sql.catalog import statement

if TYPE_CHECKING:
    from collections.abc import Mapping

    from postmill.calls.answers import Answers
    from postmill.calls.outbound import Outbound
    from postmill.db.hot.shared_connection import SharedConnection
    from postmill.model.calls.call_queue import FunctionHost
    from postmill.service.events import Events
    from postmill.service.outage import Outage

POLL_S = 1.0
"""The longest rest behind a pooler, in seconds, where no notifications arrive: a statement a second costs the
database next to nothing.
"""
HELD_S = 1.0
"""A call that is due and could not be taken, as its host has no place or another process has it, is looked
for again after this time, in seconds: a place that is free again ends the rest by itself.
"""
STOPPED = "the outcome is unknown: the process that made the call was stopped"


class Caller(LookingService):
    """Makes calls in one process."""

    channel = "postmill:calls"
    """Notified by the SQL function ``call``."""

    def __init__(
        self,
        shared: SharedConnection,
        outbound: Outbound,
        answers: Answers,
        events: Events,
        outage: Outage,
    ) -> None:
        super().__init__(shared, events, outage)
        self._outbound = outbound
        self._answers = answers
        self._running: dict[int, asyncio.Task[None]] = {}
        self._claims = CallClaims(shared, functions=outbound.host is not None)
        self._policy = ExponentialRetry(None)

        self.answered: Counter[str] = Counter()
        """Attempts that ended, by the kind of their answer."""

    @property
    def running(self) -> int:
        """Calls that run now."""
        return len(self._running)

    async def drain(self, seconds: float, forced: asyncio.Event) -> None:
        """Let calls that run end within ``seconds``, or until that is ``forced``; of those that do not, the
        outcome is unknown. :meth:`stop` comes first.
        """
        if self._running:
            ended = new_task(asyncio.wait(self._running.values(), timeout=seconds))
            forcing = new_task(forced.wait())
            await asyncio.wait({ended, forcing}, return_when=asyncio.FIRST_COMPLETED)
            ended.cancel()
            forcing.cancel()
        for task in self._running.values():
            task.cancel()
        if self._running:
            await asyncio.wait(self._running.values())

    async def _look(self) -> bool:
        """Begin a batch, and put in order what processes that are gone have left, if there is anything."""
        found = await self._shared.fetchrow(statement("calls_next"), self._claims.functions)
        due_s = math.inf if found["due_s"] is None else found["due_s"]
        more = due_s <= 0 and await self._begin_due()
        if found["is_untidy"]:
            more = await self._tidy() or more
        self._rest_s = min(self._floor_s, due_s if due_s > 0 else HELD_S)
        return more

    async def _begin_due(self) -> bool:
        rows, more = await self._claims.take()
        for row in rows:
            self._begin(row)
        return more

    def _begin(self, row: Any) -> None:
        task = new_task(self._make(row))
        self._running[row["call_id"]] = task
        task.add_done_callback(lambda _: self._ended(row))

    def _ended(self, row: Any) -> None:
        self._running.pop(row["call_id"], None)
        if self._claims.ended(row["host"]):
            self._woken.set()

    async def _make(self, row: Any) -> None:
        """Make one call, and hand its answer on whatever happens."""
        try:
            answer = await self._outbound.made(
                row["secrets"],
                row["created_by"],
                lambda secrets: _call(row, self._outbound.host, secrets),
                to_function=row["function_name"] is not None,
            )
        except BaseException as error:
            cut = isinstance(error, asyncio.CancelledError)
            answer = Answer(error=STOPPED if cut else storable(summary_of(error)), is_unknown=cut)
        again_s = self._again_s(row, answer)
        self._answers.add(row["call_id"], row["attempts"], answer, again_s)
        self.answered[answer.kind] += 1
        if not answer.succeeded:
            self._say_failed(row, answer, again_s)

    def _again_s(self, row: Any, answer: Answer) -> float | None:
        """Seconds until the next attempt; None when there is none."""
        if row["attempts"] >= row["max_attempts"] or answer.succeeded or not answer.may_pass:
            return None
        asked_s = asked_wait_s(answer, datetime.now(UTC))
        if asked_s is not None:
            return asked_s
        return self._policy.delay_s(row["attempts"], TimeoutError(), random.random)

    def _say_failed(self, row: Any, answer: Answer, again_s: float | None) -> None:
        reason = answer.error or f"HTTP {answer.status}"
        follows = "nothing" if again_s is None else f"again in {again_s:.1f} s"
        self._events.emit(
            Event.CALL_FAILED, call=row["call_id"], host=row["host"], reason=reason, follows=follows
        )

    @property
    def _floor_s(self) -> float:
        return QUIET_S if self._listens else POLL_S

    async def _tidy(self) -> bool:
        row = await self._shared.fetchrow(statement("calls_tidy"))
        return bool(row["found"])

    def _say_refused(self, error: BaseException) -> None:
        self._events.emit(Event.CALLS_REFUSED, reason=f"no call can be made here: {error}")


def _call(row: Any, host: FunctionHost | None, secrets: Mapping[str, str]) -> Call:
    """The call of a row, its secrets filled in. Raises ``MissingSecret``."""
    given = orjson.loads(row["headers"])
    headers = {name: filled(_as_text(value), secrets) for name, value in given.items() if value is not None}
    if row["idempotency_key"] is not None:
        headers.setdefault("Idempotency-Key", row["idempotency_key"])
    method, body, timeout_s = row["method"], row["body"], row["timeout_ms"] / 1000
    if host is not None and row["function_name"] is not None:
        return host.call(row["function_name"], method, headers, body, timeout_s)
    return Call(method, filled(row["url"], secrets), headers, body, timeout_s)


def _as_text(value: object) -> str:
    return value if isinstance(value, str) else orjson.dumps(value).decode()
