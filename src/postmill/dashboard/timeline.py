"""A message's attempts on one scale of time: how long each waited and how long it ran. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from postmill.api.resources.messages import FailedAttempt, Message

SCALE = 1000.0
"""Units of the drawing from left to right. A thousand: a bar of one unit is a pixel on a wide screen."""
THINNEST = 3.0
"""Units of the shortest bar. Three: an attempt of a millisecond in a day must still be seen."""


@dataclass(frozen=True, slots=True)
class Bar:
    """One attempt. ``began``, ``ran`` and ``ended`` are places on the scale."""

    name: str
    state: str
    told: str
    waited_s: float
    ran_s: float | None
    """None: it has not begun."""
    began: float
    ran: float
    ended: float


def timeline(message: Message, now: datetime | None = None) -> list[Bar]:
    """The recorded attempts in their order, then what the message does or did last."""
    now = now or datetime.now(UTC)
    begin = message.enqueued_at
    end = max(now if message.finished_at is None else message.finished_at, message.vt or begin, begin)
    whole = (end - begin).total_seconds() or 1.0

    def place(at: datetime) -> float:
        return min(SCALE, max(0.0, (at - begin).total_seconds() / whole * SCALE))

    bars, since = [], begin
    for each in message.failures:
        failed = each.failed_at or since
        started = max(since, each.started_at or failed)
        bars.append(_bar(each, since, started, failed, place))
        since = max(since, failed)
    last = _last(message, since, now, place)
    return [*bars, *([] if last is None else [last])]


def _bar(
    each: FailedAttempt,
    since: datetime,
    started: datetime,
    failed: datetime,
    place: Callable[[datetime], float],
) -> Bar:
    return Bar(
        f"Attempt {each.attempt:,}",
        "failed",
        each.error_type or each.kind,
        (started - since).total_seconds(),
        (failed - started).total_seconds(),
        place(since),
        place(started),
        min(SCALE, max(place(failed), place(started) + THINNEST)),
    )


def _last(message: Message, since: datetime, now: datetime, place: Callable[[datetime], float]) -> Bar | None:
    if message.state in {"dead", "cancelled"}:
        return None
    if message.state == "completed":
        end = message.finished_at or since
        told = "completed"
    else:
        end = max(message.vt or now, now) if message.state in {"scheduled", "retrying"} else now
        told = message.state
    name = "Next" if message.state in {"scheduled", "retrying", "ready", "waiting"} else "Last"
    return Bar(
        name, message.state, told, (end - since).total_seconds(), None, place(since), place(end), place(end)
    )
